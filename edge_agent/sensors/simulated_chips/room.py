"""An invented room for simulated environment chips: people come and go, and its air and light follow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_agent.sensors.channels import Channel
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Float32

VISIT_S = 1200.0
WEATHER_S = 21_600.0


def invented_room(channels: Sequence[Channel], seed: int) -> Signal:
    """The true values of the named channels (degC, %, Pa, ppm, lx) of one room; the seed shifts its day."""
    visits, weather = np.random.default_rng(seed).uniform(0, 1, 2)

    def signal(seconds: float) -> Float32:
        people = 0.5 - 0.5 * math.cos(math.tau * (seconds / VISIT_S + visits))
        front = math.sin(math.tau * (seconds / WEATHER_S + weather))
        values = {
            "temperature": 20.5 + 1.5 * people + 0.1 * math.sin(seconds / 30),
            "humidity": 38 + 8 * people + 3 * front,
            "pressure": 101_325 + 250 * front + 2 * math.sin(seconds / 7),
            "co2": 430 + 700 * people,
            "illuminance": 60 + 450 * people + 5 * math.sin(seconds / 3),
        }
        return np.array([values[channel.name] for channel in channels], np.float32)

    return signal
