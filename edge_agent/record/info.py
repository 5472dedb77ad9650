"""What a recording holds, in figures. Reads the whole file once, in little memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_agent.clock import NS_PER_S
from edge_agent.delivery.payloads import finite, utc
from edge_agent.flow import FlowMeter
from edge_agent.record.encoding import Arrival, Source
from edge_agent.record.mcap_file import RecordingReader


@dataclass(slots=True)
class _Tally:
    """One sensor's figures so far."""

    meter: FlowMeter
    chunks: int = 0
    samples: int = 0
    lost: int = 0
    given: int = 0
    simulated: bool = False
    first_ns: int | None = None
    last_ns: int = 0

    def add(self, arrival: Arrival) -> None:
        chunk = arrival.chunk
        self.chunks += 1
        self.samples += len(chunk.times_ns)
        self.lost += chunk.lost
        self.given = arrival.sequence + 1
        self.simulated |= chunk.simulated
        self.meter.add(chunk)
        if len(chunk.times_ns):
            self.first_ns = int(chunk.times_ns[0]) if self.first_ns is None else self.first_ns
            self.last_ns = int(chunk.times_ns[-1])

    @property
    def rate_hz(self) -> float:
        """Mean from the first sample to the last, gaps and all; 0 where there are not two."""
        span_ns = self.last_ns - (self.first_ns or 0)
        return (self.samples - 1) * NS_PER_S / span_ns if self.samples > 1 and span_ns > 0 else 0.0


def info(reader: RecordingReader) -> dict[str, Any]:
    """JSON-ready facts. `lost` counts samples that sensors lost, `dropped_chunks` what was not recorded."""
    header = reader.header
    tallies = {name: _Tally(FlowMeter()) for name in header.sensors}
    last_ns = header.start_ns
    for arrival in reader.arrivals():
        tallies.setdefault(arrival.chunk.sensor, _Tally(FlowMeter())).add(arrival)
        last_ns = arrival.arrival_ns
    end = reader.end
    for name, given in end.given.items() if end else ():
        tallies.setdefault(name, _Tally(FlowMeter())).given = given
    duration_ns = (end.end_ns if end else last_ns) - header.start_ns
    slots = header.sensors
    return {
        "start_utc": utc(header.start_wall_ns),
        "duration_s": finite(duration_ns / NS_PER_S, 3),
        "size_bytes": reader.size_bytes,
        "complete": not reader.damage,
        "damage": reader.damage,
        "node": header.node,
        "model": header.model,
        "version": header.version,
        "windows": dict(header.windows),
        "sensors": {
            name: _sensor(tally, reader.sources.get(name, Source(name, slots.get(name, ""))))
            for name, tally in tallies.items()
        },
    }


def _sensor(tally: _Tally, source: Source) -> dict[str, Any]:
    return {
        "slot": source.slot,
        "modality": source.modality,
        "channels": [channel._asdict() for channel in source.channels],
        "simulated": source.simulated or tally.simulated,
        "chunks": tally.chunks,
        "samples": tally.samples,
        "rate_hz": finite(tally.rate_hz, 2),
        "gaps": tally.meter.gaps,
        "lost": tally.lost,
        "dropped_chunks": tally.given - tally.chunks,
    }
