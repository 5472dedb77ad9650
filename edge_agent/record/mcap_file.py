"""The only module that speaks MCAP: a recording as a file (mcap.dev/spec).

In the file: the metadata record `edge_agent.recording` (`Header`); for each Chunk.sensor a channel whose
topic is its name and whose metadata is its `Source`; their messages (`encoding`) in the order of arrival, in
MCAP chunks compressed with zstd; and after an end in order the metadata record `edge_agent.end` (`End`) and
the index. A file that was cut off anywhere is read up to its last complete MCAP chunk.
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any, BinaryIO, cast

import zstandard
from mcap.exceptions import EndOfFile, McapError
from mcap.records import Channel as ChannelRecord
from mcap.records import Footer, Message, Metadata
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from edge_agent.record.encoding import (
    MESSAGE_ENCODING,
    SCHEMA_ENCODING,
    SCHEMA_NAME,
    SCHEMA_TEXT,
    Arrival,
    RecordingError,
    Source,
    decode,
    encode,
)
from edge_agent.sensors.channels import Channel

FORMAT = "1"
HEADER_NAME = "edge_agent.recording"
END_NAME = "edge_agent.end"
_DAMAGE = (McapError, zstandard.ZstdError, struct.error, ValueError, KeyError, TypeError, MemoryError)
"""What reading bytes that are no MCAP may end in (a wrong checksum is a ValueError)."""
_SEQUENCE_MASK = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Header:
    """What is known at the start: who recorded, when on both clocks, what was configured.

    `sensors` is Chunk.sensor -> slot, "" for none. `windows` are the settings of that name (seconds, shares).
    """

    node: str
    version: str
    model: str
    start_ns: int
    start_wall_ns: int
    windows: Mapping[str, float]
    sensors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class End:
    """What is known at an end in order: when, and how many chunks each sensor gave, kept or dropped."""

    end_ns: int
    given: Mapping[str, int]


class RecordingWriter:
    """Writes a recording to an open binary file, which it owns from then on. For one thread.

    Every method raises OSError where the file cannot take more.
    """

    def __init__(self, raw: BinaryIO, header: Header) -> None:
        self._sink = _Sink(raw)
        stream = cast("IO[bytes]", self._sink)
        writer = Writer(stream, compression=CompressionType.ZSTD, enable_data_crcs=True)
        self._mcap = cast("Any", writer)  # half of its methods carry no annotations
        self._channels: dict[str, int] = {}
        try:
            self._mcap.start("", f"edge-agent {header.version}")
            self._schema = self._mcap.register_schema(SCHEMA_NAME, SCHEMA_ENCODING, SCHEMA_TEXT.encode())
            self._mcap.add_metadata(HEADER_NAME, _to_metadata(header))
            self._mcap.flush()
        except BaseException:
            self.close()
            raise

    @property
    def size_bytes(self) -> int:
        """What is in the file so far."""
        return self._sink.tell()

    def knows(self, sensor: str) -> bool:
        """Whether `announce` was called for it."""
        return sensor in self._channels

    def announce(self, source: Source) -> None:
        """Say what a sensor is, once, before its first arrival."""
        channels = json.dumps([[channel.name, channel.unit] for channel in source.channels])
        self._channels[source.name] = self._mcap.register_channel(
            source.name,
            MESSAGE_ENCODING,
            self._schema,
            {
                "slot": source.slot,
                "modality": source.modality,
                "channels": channels,
                "simulated": json.dumps(source.simulated),
            },
        )

    def add(self, arrival: Arrival) -> None:
        """Append one arrival. Raises ValueError, and writes nothing, for a malformed chunk."""
        self._mcap.add_message(
            self._channels[arrival.chunk.sensor],
            log_time=arrival.wall_ns,
            data=encode(arrival),
            publish_time=arrival.wall_ns,
            sequence=arrival.sequence & _SEQUENCE_MASK,
        )

    def flush(self) -> None:
        """End the MCAP chunk and bring it to the disk: from here on it survives a loss of power."""
        self._mcap.flush()

    def finish(self, end: End) -> None:
        """Write what is known at the end, and the index."""
        self._mcap.flush()
        self._mcap.add_metadata(END_NAME, _to_metadata(end))
        self._mcap.finish()
        self._sink.flush()

    def close(self) -> None:
        """Close the file as it is."""
        self._sink.close()

    def __enter__(self) -> RecordingWriter:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Sink:
    """An unbuffered file: what it refuses is refused at once, and nothing is left to write at its closing."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._written = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            count = self._raw.write(view)
            self._written += count
            view = view[count:]
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._raw.flush()
        try:
            handle = self._raw.fileno()
        except io.UnsupportedOperation:  # a file in memory
            return
        os.fsync(handle)

    def close(self) -> None:
        self._raw.close()


class RecordingReader:
    """Reads a recording from an open binary file, which it owns from then on.

    `header` is there at once; RecordingError where it is not. `sources` and `end` fill while `arrivals` is
    read; after that `damage` says why the file ends before its end, and is empty where it is whole.
    """

    def __init__(self, raw: BinaryIO, name: str) -> None:
        self.sources: dict[str, Source] = {}
        self.end: End | None = None
        self.damage = "not read to its end"
        self._file = _WholeReads(raw)
        self._name = name
        self._sensors: dict[int, str] = {}
        stream = cast("IO[bytes]", self._file)
        self._records: Iterator[Any] = iter(StreamReader(stream, validate_crcs=True).records)
        try:
            self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> Header:
        try:
            next(self._records)
            record = next(self._records)
            if isinstance(record, Metadata) and record.name == HEADER_NAME:
                return _header(record.metadata, self._name)
        except EndOfFile as error:
            raise RecordingError(f"{self._name} was cut off before its first sample, or is empty") from error
        except _DAMAGE as error:
            raise RecordingError(f"{self._name} is no recording: {error}", hint=_HINT) from error
        raise RecordingError(f"{self._name} is MCAP, but not of edge-agent", hint=_HINT)

    def arrivals(self) -> Iterator[Arrival]:
        """Everything that is readable, in the order of arrival."""
        try:
            for record in self._records:
                if isinstance(record, Message):
                    yield self._arrival(record)
                elif isinstance(record, ChannelRecord):
                    self._announced(record)
                elif isinstance(record, Metadata) and record.name == END_NAME:
                    self.end = End(**_from_metadata(record.metadata))
                elif isinstance(record, Footer):
                    self.damage = ""
        except EndOfFile:
            self.damage = "cut off"
        except _DAMAGE as error:
            self.damage = f"damaged: {error or type(error).__name__}"

    def _arrival(self, message: Message) -> Arrival:
        sensor = self._sensors[message.channel_id]
        return decode(message.data, sensor, message.log_time, message.sequence)

    def _announced(self, record: ChannelRecord) -> None:
        if record.message_encoding != MESSAGE_ENCODING:
            raise ValueError(f'the encoding of "{record.topic}" is {record.message_encoding}')
        self._sensors[record.id] = record.topic
        said = record.metadata
        channels = tuple(Channel(str(name), str(unit)) for name, unit in json.loads(said["channels"]))
        self.sources[record.topic] = Source(
            record.topic, said["slot"], said["modality"], channels, json.loads(said["simulated"]) is True
        )

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self._file.size_bytes

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> RecordingReader:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_HINT = "recordings are made with edge-agent record"


class _WholeReads:
    """A file that gives all that is asked for or nothing: what was cut off must not look like a record."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.size_bytes = raw.seek(0, io.SEEK_END)
        self._left = self.size_bytes
        raw.seek(0)

    def read(self, length: int) -> bytes:
        if length > self._left:
            raise EndOfFile
        self._left -= length
        return self._raw.read(length)

    def close(self) -> None:
        self._raw.close()


def _to_metadata(facts: Header | End) -> dict[str, str]:
    """MCAP metadata is text alone: each value as JSON."""
    return {"format": FORMAT} | {key: json.dumps(value) for key, value in asdict(facts).items()}


def _from_metadata(said: Mapping[str, str]) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in said.items() if key != "format"}


def _header(said: Mapping[str, str], name: str) -> Header:
    if said.get("format") != FORMAT:
        raise RecordingError(
            f"{name} is of format {said.get('format')}; this version reads {FORMAT}",
            hint="read it with the edge-agent that recorded it",
        )
    return Header(**_from_metadata(said))
