"""A real room (UCI occupancy detection, Candanedo 2016) as a signal for simulated environment chips."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from edge_agent.sensors.simulated_chips.world import Played

DATA = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILE = DATA / "room_occupancy" / "datatest.txt"
COLUMNS = {"temperature": 2, "humidity": 3, "illuminance": 4, "co2": 5}


def recorded_room(*names, minutes=400, minute_s=1.0):
    """The named quantities as Played, a recorded minute in `minute_s`; skips where there is no recording."""
    if not FILE.exists():
        pytest.skip(f"the recordings are not at {FILE} (EDGE_AGENT_DATA)")
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1 : minutes + 1]
    values = np.array([[float(row[COLUMNS[name]]) for name in names] for row in rows], np.float32)
    assert len(values) == minutes
    assert np.ptp(values, axis=0).min() > 0
    return Played((np.arange(minutes) * minute_s * 1e9).astype(np.int64), values)
