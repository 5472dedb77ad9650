"""The nouns every stage passes to the next. Pure data: no I/O, no third-party code but numpy.

Times are monotonic nanoseconds (`*_ns`) inside the process. Wall time appears only where a value
leaves it, and is then named `*_utc`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32 | np.float64]
"""What sensors measure: float32, or float64 where 24 bits are too few, as for a place on the earth."""


class SensorState(StrEnum):
    """What is said of a sensor on `edge/<node>/sensor/<name>/state`; muted: told to be silent, and closed."""

    ONLINE = "online"
    OFFLINE = "offline"
    DEGRADED = "degraded"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one read of one sensor gave: n samples in time order, in the slot's units.

    `values` is (n, channels), `times_ns` is (n,) monotonic nanoseconds, not decreasing.
    A channel that the sensor could not read is NaN. `lost` counts the samples that are known to be
    missing directly before this chunk (from sequence numbers), 0 when nothing is known to be lost.
    """

    sensor: str
    times_ns: Int64
    values: Values
    lost: int = 0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class SlotWindow:
    """One slot's part of a window: (samples, channels) on a regular grid ending at the window's end.

    `coverage` in 0..1 is the share of grid points that lie within reach of a real sample; `age_s` is how old,
    at the window's end, the newest sample was that had been taken by then (inf: none was). `missing_channels`
    (channels,) is True where most samples of the window are NaN; empty where nobody looked.
    """

    values: Values
    coverage: float
    age_s: float
    missing_channels: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))
    simulated: bool = False

    def missing_of(self, channels: Sequence[str]) -> tuple[str, ...]:
        """Which of the slot's `channels` are missing."""
        return tuple(channels[i] for i in np.flatnonzero(self.missing_channels).tolist())


@dataclass(frozen=True, slots=True)
class Window:
    """The aligned view of all sensors at one instant. A slot without usable data is not in `slots`."""

    sequence: int
    end_ns: int
    slots: Mapping[str, SlotWindow]
    stale: Mapping[str, float] = field(default_factory=dict)
    """slot -> coverage (0..1) of the slots that were configured but too empty to use."""


@dataclass(frozen=True, slots=True)
class Features:
    """What one encoder made of one slot: tokens H_m (n_m, 128), pooled z_m (128,), logits (labels,).

    novelty (heads,): how unlike what each of its heads was trained on; 1: as far as known windows go.
    """

    tokens: Float32
    pooled: Float32
    logits: Float32
    novelty: Float32


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the language model reads: soft tokens S (K, D) and control vectors c (L-1, D)."""

    soft: Float32
    control: Float32


@dataclass(frozen=True, slots=True)
class TaskPercept:
    """The fast path's calibrated result for one head.

    `possible` is the conformal set: the labels that cannot be ruled out. `probability` belongs to `label`;
    `novel` is True where `novelty` exceeds the manifest's threshold; `known` is False there, and where the
    probability lies under its own, and the agent must then say that it does not know.
    """

    task: str
    label: str
    probability: float
    probabilities: Mapping[str, float]
    alpha: Mapping[str, float]
    novelty: float
    known: bool
    possible: tuple[str, ...] = ()
    novel: bool = False


@dataclass(frozen=True, slots=True)
class NumberPercept:
    """The fast path's result for a head that reads numbers: values and deviations (K,), in their units."""

    head: str
    values: Float32
    sigma: Float32
    alpha: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Percept:
    """All heads of one window, with the conditioning that a question about it needs.

    `facts` are the measured numbers that may be said, as they are said: name -> "21.5 degrees".
    """

    sequence: int
    end_ns: int
    tasks: Mapping[str, TaskPercept]
    present: tuple[str, ...]
    missing: tuple[str, ...]
    conditioning: Conditioning
    simulated: bool = False
    numbers: Mapping[str, NumberPercept] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    missing_channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Slot -> the channels that most samples of the window did not have; only slots that lack some."""
    alone: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Head -> slot -> the label that this slot's encoder reads alone, of heads that several slots serve."""


WordedBy = Literal["lm", "rules"]
"""Whose words an answer is in: the language model's, checked, or those of the rules. Also who told which kind
of answer a question about the past wants."""


class AnswerSource(StrEnum):
    """What an answer is: the language model's, a sentence from the percept, a refusal, or of the memory."""

    LANGUAGE_MODEL = "language_model"
    FALLBACK = "fallback"
    REFUSAL = "refusal"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Answer:
    """A worded answer with its evidence (JSON-ready facts: task, label, probability, alpha, age_s)."""

    question: str
    text: str
    source: AnswerSource
    evidence: tuple[Mapping[str, object], ...]
    reason: str = ""
    latency_ms: float = 0.0
    first_token_ms: float = 0.0
    worded_by: WordedBy = "rules"
    understood_by: WordedBy = "rules"


@dataclass(frozen=True, slots=True)
class BoardClock:
    """A board's clock beside ours: ours minus its, how much faster its is, how far off a time may then be."""

    offset_ms: float
    drift_ppm: float
    error_ms: float


@dataclass(frozen=True, slots=True)
class SatelliteFix:
    """What a satellite receiver knows: the fix quality of NMEA's GGA (0: none), and its UTC minus ours.

    `utc_offset_s` is None until it is known.
    """

    quality: int
    utc_offset_s: float | None


@dataclass(slots=True)
class SensorHealth:
    """A sensor's own counters, written by its thread alone and read by the publisher."""

    state: SensorState = SensorState.OFFLINE
    reason: str = "not started"
    samples: int = 0
    lost: int = 0
    errors: int = 0
    reconnects: int = 0
    dropped_chunks: int = 0
    clock: BoardClock | None = None
    """Of a sensor that has a clock of its own, once the two are related."""
    fix: SatelliteFix | None = None
    """Of a satellite receiver, once it has spoken."""


class Backoff(Protocol):
    """Delays between attempts that grow until one succeeds."""

    def next_s(self) -> float:
        """The next delay in seconds."""
        ...

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        ...


class Clock(Protocol):
    """The one seam for time: monotonic inside, wall time only at the edge."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, UTC, as far as the machine knows."""
        ...


class Sensor(Protocol):
    """A source of chunks.

    `chunks` blocks, honours `stop` within 0.2 s and never raises for a lost device: it reports through
    `health` and retries. It raises ConfigurationError for what a retry cannot mend. A finite source (a
    recording that does not loop) returns at its end.
    """

    name: str
    slot: str
    health: SensorHealth

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """Yield chunks until `stop` is set or the source ends."""
        ...
