"""Somebody who looks about on a screen, a hand that opens and closes, a finger that draws: invented.

What an eye tracker and a pose estimator would give of them, with the channels that docs/sensors.md names.
They are plausible, not measured, and labelled *simulated* wherever they go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.sensors.simulated_firmware import SimulatedStream
from edge_agent.types import Float32

EYES = ("left", "right")
_CORNERS = {
    "left_outer": (-0.12, -0.15), "left_inner": (-0.045, -0.15),
    "right_inner": (0.045, -0.15), "right_outer": (0.12, -0.15),
    "nose": (0.0, -0.25),
}  # fmt: skip
"""Points of a face, right of (as in a mirror) and above the middle of the picture, in its widths."""
_FACE_WIDTH = 0.36
GAZE_CHANNELS = (
    *(f"{eye}_pupil_{axis}" for eye in EYES for axis in "xy"),
    *(f"{point}_{axis}" for point in _CORNERS for axis in "xy"),
    "face_width",
)
FINGERS = ("thumb", "index_finger", "middle_finger", "ring_finger", "pinky")
LANDMARKS = (
    "wrist",
    *(
        f"{finger}_{joint}"
        for finger in FINGERS
        for joint in (("cmc", "mcp", "ip", "tip") if finger == "thumb" else ("mcp", "pip", "dip", "tip"))
    ),
)
"""The 21 of MediaPipe Hands, in its order."""
HAND_CHANNELS = tuple(f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy")
FINGER_CHANNELS = ("index_finger_tip_x", "index_finger_tip_y")
_SPREAD_RAD = (-0.9, -0.3, 0.0, 0.25, 0.5)
"""Where each finger points, from straight up."""
_PALM, _JOINT = 0.5, 0.17


@dataclass(frozen=True, slots=True)
class Tracker:
    """A tracker: its channels with their units, how often it measures, and what (see world.Signal)."""

    modality: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    signal: Signal
    rate_hz: float = 30.0

    def stream(self, name: str, seconds: float = 20.0, repeat: int = 1) -> SimulatedStream:
        """The same as what a board plays, again and again."""
        t_us = np.arange(round(seconds * self.rate_hz), dtype=np.int64) * round(1e6 / self.rate_hz)
        values = np.stack([self.signal(float(t) * 1e-6) for t in t_us])
        return SimulatedStream(
            name, t_us, values, self.modality, self.channels, self.units, simulated=True, repeat=repeat
        )


def gaze(seconds: float) -> Float32:
    """(15,) in picture widths: the pupils follow a place on the screen, and the head a little."""
    aside, up = math.sin(0.7 * seconds), math.sin(1.1 * seconds + 1) - 1
    head = np.array([0.01 * math.sin(0.2 * seconds), 0.01 * math.cos(0.3 * seconds)])
    corners = np.array(list(_CORNERS.values())) + head
    eyes = np.array([corners[:2].mean(0), corners[2:4].mean(0)])
    pupils = eyes + np.array([0.018 * aside, 0.006 * up])
    return np.concatenate([pupils.ravel(), corners.ravel(), [_FACE_WIDTH]]).astype(np.float32)


def hand(seconds: float) -> Float32:
    """(42,) right of and below the wrist, the largest coordinate being 1: it closes and opens in 4 s."""
    closed = 0.5 - 0.5 * math.cos(math.tau * seconds / 4)
    points = [np.zeros(2)]
    for spread_rad in _SPREAD_RAD:
        way = np.array([math.sin(spread_rad), -math.cos(spread_rad)])
        steps = [_PALM, *(_JOINT * math.cos(math.pi * closed * joint / 3) for joint in (1, 2, 3))]
        points += [way * sum(steps[: joint + 1]) for joint in range(4)]
    joined = np.concatenate(points)
    return np.asarray(joined / np.abs(joined).max(), np.float32)


def finger(seconds: float) -> Float32:
    """(2,) place of the tip in the picture, in its widths and heights: it draws circles."""
    return np.array([0.5 + 0.2 * math.cos(3 * seconds), 0.5 + 0.2 * math.sin(3 * seconds)], np.float32)


TRACKERS = {
    "gaze": Tracker("gaze", GAZE_CHANNELS, ("1",) * len(GAZE_CHANNELS), gaze),
    "hand": Tracker("pose", HAND_CHANNELS, ("hand",) * len(HAND_CHANNELS), hand),
    "finger": Tracker("pose", FINGER_CHANNELS, ("picture width", "picture height"), finger),
}
