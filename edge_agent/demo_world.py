"""What the demo puts before the agent: a microcontroller that plays recordings, and sound files.

With recordings everything the agent perceives was once measured; without them it is invented, and marked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.liveview import Json, View, parse_utc
from edge_agent.recordings import Recordings
from edge_agent.sensors.recording import Recording, read_recording
from edge_agent.sensors.simulated import ACTIVITIES, SimulatedStream, simulated_imu
from edge_agent.types import Float32, Int64

MOTION, SOUND = "activity_recognition", "event_detection"
_PAUSE_US = 10_000
"""Between two recordings that are played one after the other: one sample."""
_HALF_WINDOW_S = 0.5
_SIMULATED_S = 6.0


@dataclass(frozen=True, slots=True)
class World:
    """`streams` for the microcontroller, `sounds` for the replay sensor (empty: simulate them).

    `labels` is what the first stream's makers wrote beside each of its samples; empty where nobody did.
    """

    streams: tuple[SimulatedStream, ...]
    labels: tuple[str, ...]
    sounds: tuple[Path, ...]
    recordings: Recordings | None

    def truth(self, view: View, task: str, percept: Json) -> str:
        """The recorded label of what a percept is about; "" where there is none."""
        if self.recordings is None:
            return ""
        return self._motion(view, percept) if task == MOTION else self._sound(view)

    def _sound(self, view: View) -> str:
        playing = str(view.sensors.get("sound", {}).get("reason", "")).removeprefix("playing ")
        return self.recordings.label(playing) if self.recordings is not None else ""

    def _motion(self, view: View, percept: Json) -> str:
        """The label in the middle of the percept's window.

        The phone's published count of samples says which row was its newest at which time.
        """
        phone = view.sensors.get("phone")
        if phone is None or phone["age_s"] is None or not phone["samples"]:
            return ""
        t_us, n = self.streams[0].t_us, len(self.labels)
        newest_us = int(t_us[(phone["samples"] + phone["lost"] - 1) % n])
        since_s = (
            parse_utc(percept["time_utc"]) - _HALF_WINDOW_S - parse_utc(phone["time_utc"]) + phone["age_s"]
        )
        lap_us = int(t_us[-1]) + _PAUSE_US
        row = bisect_right(t_us.tolist(), (newest_us + round(since_s * 1e6)) % lap_us) - 1
        return self.labels[max(0, row)]


def recorded(recordings: Recordings) -> World:
    """The real recordings. Phone and watch stay together: each pair is cut to the time that both cover."""
    phones = [read_recording(path) for path in recordings.of_slot("imu_phone")]
    watches = [read_recording(path) for path in recordings.of_slot("imu_watch")]
    starts = [
        (_start_ms(phone), _start_ms(watch))
        for phone, watch in zip(recordings.of_slot("imu_phone"), recordings.of_slot("imu_watch"), strict=True)
    ]
    pairs = [
        _together(p, w, (b - a) * 1_000_000) for p, w, (a, b) in zip(phones, watches, starts, strict=True)
    ]
    labels = tuple(str(label) for phone, _ in pairs for label in phone.labels)
    return World(
        streams=(
            _stream("phone", [_timed(phone) for phone, _ in pairs], simulated=False),
            _stream("watch", [_timed(watch) for _, watch in pairs], simulated=False),
        ),
        labels=labels,
        sounds=recordings.of_slot("audio"),
        recordings=recordings,
    )


def invented() -> World:
    """Simulated motion, one activity after the other."""
    rng = np.random.default_rng(0)
    streams = []
    for name, placement in (("phone", "pocket"), ("watch", "wrist")):
        parts = [simulated_imu(activity, _SIMULATED_S, rng, placement) for activity in ACTIVITIES]
        streams.append(_stream(name, parts, simulated=True))
    return World(tuple(streams), (), (), None)


def _start_ms(path: Path) -> int:
    """The wall time of a recording's first sample, which `Recording` leaves out."""
    header, first = path.read_text(encoding="utf-8").splitlines()[:2]
    return int(first.split(",")[header.split(",").index("timestamp")])


def _together(phone: Recording, watch: Recording, watch_later_ns: int) -> tuple[Recording, Recording]:
    """Both cut to their common time, from its start."""
    start_ns = max(0, watch_later_ns)
    end_ns = min(int(phone.times_ns[-1]), int(watch.times_ns[-1]) + watch_later_ns)
    return _cut(phone, start_ns, end_ns), _cut(watch, start_ns - watch_later_ns, end_ns - watch_later_ns)


def _cut(recording: Recording, start_ns: int, end_ns: int) -> Recording:
    low, high = np.searchsorted(recording.times_ns, [start_ns, end_ns])
    return Recording(
        recording.times_ns[low:high] - start_ns,
        recording.values[low:high],
        recording.rate_hz,
        recording.labels[low:high],
    )


def _timed(recording: Recording) -> tuple[Int64, Float32]:
    return recording.times_ns // 1000, recording.values


def _stream(name: str, parts: Sequence[tuple[Int64, Float32]], *, simulated: bool) -> SimulatedStream:
    """One after the other. Samples that came in one bundle share a time; a board's never do."""
    times, start_us = [], 0
    for t_us, _ in parts:
        times.append(t_us + start_us)
        start_us = int(times[-1][-1]) + _PAUSE_US
    joined = np.concatenate(times)
    steps = np.arange(len(joined))
    increasing = np.maximum.accumulate(joined - steps) + steps
    return SimulatedStream(name, increasing, np.concatenate([v for _, v in parts]), simulated=simulated)
