"""One chunk of a recording as bytes: little-endian, without loss, in an encoding of our own.

    offset      type        what
    0           int64       monotonic time of the chunk's arrival, ns
    8           uint64      samples known to be lost directly before the chunk
    16          uint32      n, samples
    20          uint32      c, channels
    24          uint32      flags: bit 0, the chunk is simulated; bit 1, its values are float64; others are 0
    28          int64[n]    monotonic sample times, ns: the first, then differences, each to the one before
    28 + 8 n    float32[nc] values, sample by sample; NaN for a channel that could not be read
                            (float64[nc] where bit 1 is set)

Differences, because those of a steady sensor are nearly all alike and compress to almost nothing. Additions
wrap at 64 bits, so any times come back. The wall clock at the arrival is the log time of the MCAP message.
Its sequence numbers every chunk that the sensor gave: a number that is missing is a chunk that was dropped.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from edge_agent.errors import EdgeAgentError
from edge_agent.sensors.channels import Channel
from edge_agent.types import Chunk

MESSAGE_ENCODING = "edge-agent-chunk-1"
SCHEMA_NAME = "edge_agent.Chunk"
SCHEMA_ENCODING = "text"
SCHEMA_TEXT = """little-endian, nothing between the fields
int64 arrival_ns        monotonic time of the chunk's arrival; the wall clock is the message's log time
uint64 lost             samples known to be lost directly before the chunk
uint32 n                samples
uint32 c                channels
uint32 flags            bit 0: simulated; bit 1: values are float64[n*c]
int64[n] times_ns       monotonic sample times: the first, then differences; sums wrap at 64 bits
float32[n*c] values     sample by sample; NaN: could not be read
"""
_HEAD = struct.Struct("<qQIII")
_SIMULATED = 1
_DOUBLE = 2


class RecordingError(EdgeAgentError, OSError):
    """A recording that cannot be written, or that is none."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A chunk as it came in: both clocks at that moment, and its number (from 0) among its sensor's."""

    chunk: Chunk
    arrival_ns: int
    wall_ns: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of one Chunk.sensor: slot ("" for none), modality, columns ("" and () if unknown)."""

    name: str
    slot: str = ""
    modality: str = ""
    channels: tuple[Channel, ...] = ()
    simulated: bool = False


def encode(arrival: Arrival) -> bytes:
    """The message of one arrival. Raises ValueError for a chunk that breaks the promise of `types.Chunk`."""
    chunk = arrival.chunk
    times_ns = np.ascontiguousarray(chunk.times_ns, "<i8")
    double = chunk.values.dtype == np.float64
    values = np.ascontiguousarray(chunk.values, "<f8" if double else "<f4")
    if times_ns.ndim != 1 or values.ndim != 2 or len(values) != len(times_ns):
        raise ValueError(f"times of shape {times_ns.shape} and values of shape {values.shape} do not fit")
    flags = _SIMULATED * chunk.simulated | _DOUBLE * double
    try:
        head = _HEAD.pack(arrival.arrival_ns, chunk.lost, *values.shape, flags)
    except struct.error as error:
        raise ValueError(f"a figure does not fit into its field: {error}") from error
    steps_ns = times_ns.copy()
    steps_ns[1:] -= times_ns[:-1]
    return b"".join((head, steps_ns.tobytes(), values.tobytes()))


def decode(data: bytes, sensor: str, wall_ns: int, sequence: int) -> Arrival:
    """The arrival of a message. Raises ValueError where it is not exactly one."""
    if len(data) < _HEAD.size:
        raise ValueError(f"{len(data)} bytes are no chunk")
    arrival_ns, lost, samples, channels, flags = _HEAD.unpack_from(data)
    kind = np.dtype("<f8" if flags & _DOUBLE else "<f4")
    expected = _HEAD.size + 8 * samples + kind.itemsize * samples * channels
    if len(data) != expected or flags & ~(_SIMULATED | _DOUBLE):
        raise ValueError(f"{len(data)} bytes with flags {flags} are no chunk of {samples} x {channels}")
    steps_ns = np.frombuffer(data, "<i8", samples, _HEAD.size)
    values = np.frombuffer(data, kind, samples * channels, _HEAD.size + 8 * samples)
    chunk = Chunk(
        sensor,
        np.cumsum(steps_ns, dtype=np.int64),
        values.reshape(samples, channels).astype(kind.newbyteorder("=")),
        lost,
        bool(flags & _SIMULATED),
    )
    return Arrival(chunk, arrival_ns, wall_ns, sequence)
