"""Recordings: chunks to a file and back, cut off, damaged, on a full disk, and the figures of it."""

from __future__ import annotations

import errno
import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import cli_record
from edge_agent.clock import ManualClock
from edge_agent.record.beside import Recording
from edge_agent.record.encoding import Arrival, RecordingError, Source, decode, encode
from edge_agent.record.info import info
from edge_agent.record.mcap_file import End, Header, RecordingReader, RecordingWriter
from edge_agent.record.recorder import Recorder, create
from edge_agent.sensors.channels import Channel
from edge_agent.types import Chunk

S = 1_000_000_000
WALL_NS = 1_738_324_800 * S  # 2025-01-31T12:00:00Z
WINDOWS = {"hop_s": 0.5, "max_gap_s": 0.06, "min_coverage": 0.8, "settle_s": 0.15}
PHONE = Source("phone", "imu_phone", "imu", (Channel("acc_x", "m/s2"), Channel("gyro_x", "rad/s")), True)
ROOM = Source("room", channels=(Channel("temperature", "°C"),))


def header(start_ns: int = 5 * S) -> Header:
    return Header("kitchen", "1.2", "tiny", start_ns, WALL_NS, WINDOWS, {"phone": "imu_phone", "room": ""})


def chunk(sensor: str, start_ns: int, n: int = 10, channels: int = 2, **more) -> Chunk:
    times_ns = start_ns + np.arange(n, dtype=np.int64) * (S // 100)
    values = np.random.default_rng(start_ns % 2**32).normal(0, 3, (n, channels)).astype(np.float32)
    return Chunk(sensor, times_ns, values, **more)


class Memory(io.BytesIO):
    """A file in memory that holds `room` bytes and can be looked at after its closing."""

    def __init__(self, room: int = 1 << 30) -> None:
        super().__init__()
        self.room = room
        self.kept = b""

    def write(self, data) -> int:
        if self.tell() == self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[: self.room - self.tell()])

    def close(self) -> None:
        if not self.closed:
            self.kept = self.getvalue()
        super().close()


def written(arrivals: Sequence[Arrival], sources: Sequence[Source] = (), end: End | None = None) -> bytes:
    """A recording; announced are `sources`, and then whoever speaks."""
    memory = Memory()
    with RecordingWriter(memory, header()) as file:
        for source in sources:
            file.announce(source)
        for arrival in arrivals:
            if not file.knows(arrival.chunk.sensor):
                file.announce(Source(arrival.chunk.sensor))
            file.add(arrival)
        file.finish(end or End(9 * S, {}))
    return memory.kept


def read(data: bytes) -> tuple[list[Arrival], str]:
    """(what arrived, what is wrong with the file)."""
    with RecordingReader(io.BytesIO(data), "it") as reader:
        return list(reader.arrivals()), reader.damage


def outcome(data: bytes) -> tuple[list[Arrival], str]:
    """As `read`, where the file may be none at all."""
    try:
        return read(data)
    except RecordingError as error:
        return [], str(error)


def bits(arrival: Arrival) -> tuple[object, ...]:
    """Equal where every bit is: a NaN is no trouble then."""
    c = arrival.chunk
    return (
        c.sensor, c.times_ns.tobytes(), c.values.tobytes(), c.values.shape, c.values.dtype, c.times_ns.dtype,
        c.lost, c.simulated, arrival.arrival_ns, arrival.wall_ns, arrival.sequence,
    )  # fmt: skip


@st.composite
def arrivals(draw):
    n, channels = draw(st.integers(0, 12)), draw(st.integers(0, 4))
    int64 = st.integers(-(2**63), 2**63 - 1)
    times_ns = np.array(draw(st.lists(int64, min_size=n, max_size=n)), np.int64)
    kind = np.dtype(draw(st.sampled_from([np.float32, np.float64])))
    size = kind.itemsize * n * channels
    values = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), kind).reshape(n, channels)
    lost, simulated = draw(st.integers(0, 2**64 - 1)), draw(st.booleans())
    found = Chunk(draw(st.text(min_size=1, max_size=8)), times_ns, values, lost, simulated)
    return Arrival(found, draw(int64), draw(st.integers(0, 2**63)), draw(st.integers(0, 2**32 - 1)))


# -- the encoding and the file ---------------------------------------------------------------------------


@given(st.lists(arrivals(), max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_bit_of_every_chunk_comes_back(given_arrivals: list[Arrival]):
    found, damage = read(written(given_arrivals))
    assert damage == ""
    assert [bits(a) for a in found] == [bits(a) for a in given_arrivals]


def test_the_bytes_of_a_message_are_as_documented():
    times_ns = np.array([1000, 1010], np.int64)
    values = np.array([[1.0, np.nan], [-2.0, 0.5]], np.float32)
    message = encode(Arrival(Chunk("a", times_ns, values, lost=3, simulated=True), 2000, WALL_NS, 7))
    assert message.hex(" ", -4) == (
        "d0070000 00000000 03000000 00000000 02000000 02000000 01000000 "
        "e8030000 00000000 0a000000 00000000 0000803f 0000c07f 000000c0 0000003f"
    )
    place = Chunk("a", times_ns[:1], np.array([[47.1]]))
    assert encode(Arrival(place, 2000, WALL_NS, 7)).hex(" ", -4) == (
        "d0070000 00000000 00000000 00000000 01000000 01000000 02000000 e8030000 00000000 cdcccccc cc8c4740"
    )


@given(st.binary(max_size=80))
def test_bytes_that_are_no_message_are_refused(data: bytes):
    with pytest.raises(ValueError, match="no chunk"):
        decode(data, "a", 0, 0)
    whole = encode(Arrival(chunk("a", 0), 0, 0, 0))
    with pytest.raises(ValueError, match="no chunk"):
        decode(whole + (data or b"\0"), "a", 0, 0)


@pytest.mark.parametrize(
    "broken",
    [
        Chunk("a", np.zeros(3, np.int64), np.zeros((2, 1), np.float32)),
        Chunk("a", np.zeros(2, np.int64), np.zeros(2, np.float32)),
        Chunk("a", np.zeros(2, np.int64), np.zeros((2, 1), np.float32), lost=-1),
    ],
)
def test_a_malformed_chunk_cannot_be_encoded(broken: Chunk):
    with pytest.raises(ValueError, match=r"fit"):
        encode(Arrival(broken, 0, 0, 0))


def test_what_is_known_of_the_sensors_and_of_the_start_and_end_comes_back():
    end = End(9 * S, {"phone": 4, "room": 0})
    data = written([Arrival(chunk("phone", 6 * S), 6 * S, WALL_NS, 0)], [PHONE, ROOM], end)
    with RecordingReader(io.BytesIO(data), "it") as reader:
        assert reader.header == header()
        assert reader.end is None
        assert len(list(reader.arrivals())) == 1
        assert reader.end == end
        assert reader.sources == {"phone": PHONE, "room": ROOM}


def test_anybody_s_mcap_reader_finds_channels_times_and_schema(tmp_path: Path):
    from mcap.reader import make_reader

    path = tmp_path / "a.mcap"
    sent = [Arrival(chunk("phone", 6 * S), 6 * S, WALL_NS + S, 3)]
    path.write_bytes(written(sent, [PHONE]))
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        [(schema, channel, message)] = reader.iter_messages()
        summary = reader.get_summary()
    assert summary is not None
    assert {index.compression for index in summary.chunk_indexes} == {"zstd"}
    assert (schema.name, schema.encoding) == ("edge_agent.Chunk", "text")
    assert b"float32[n*c] values" in schema.data
    assert channel.topic == "phone"
    assert channel.metadata["slot"] == "imu_phone"
    assert channel.metadata["channels"] == '[["acc_x", "m/s2"], ["gyro_x", "rad/s"]]'
    assert channel.metadata["simulated"] == "true"
    assert (message.log_time, message.sequence) == (WALL_NS + S, 3)


def portions() -> tuple[bytes, list[Arrival], list[int]]:
    """(a recording of four MCAP chunks, its arrivals, where each of the MCAP chunks ends)."""
    memory, ends = Memory(), []
    sent = [Arrival(chunk("phone", i * S, n=3), i * S, WALL_NS + i * S, i) for i in range(8)]
    with RecordingWriter(memory, header()) as file:
        file.announce(PHONE)
        for i in range(0, 8, 2):
            file.add(sent[i])
            file.add(sent[i + 1])
            file.flush()
            ends.append(file.size_bytes)
        file.finish(End(9 * S, {"phone": 8}))
    return memory.kept, sent, ends


def test_a_file_that_is_cut_off_anywhere_is_read_up_to_its_last_whole_chunk():
    data, sent, ends = portions()
    expected = [bits(a) for a in sent]
    before = 0
    for cut in range(len(data)):
        found, damage = outcome(data[:cut])
        assert "cut off" in damage
        assert [bits(a) for a in found] == expected[: len(found)]
        assert len(found) >= before  # more of the file is never less of the recording
        assert len(found) >= 2 * sum(cut >= end for end in ends)
        before = len(found)
    assert before == len(sent)
    assert read(data)[1] == ""


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_a_damaged_byte_gives_no_wrong_sample(at: int, flip: int):
    data, sent, _ = portions()
    broken = bytearray(data)
    broken[at % len(data)] ^= flip
    found, _ = outcome(bytes(broken))
    rest = iter([bits(a)[1:] for a in sent])  # without the name, which is in no chunk's values
    assert all(any(bits(a)[1:] == b for b in rest) for a in found)


def test_a_damaged_byte_before_the_index_is_told():
    data, _, ends = portions()
    for at in range(200, ends[-1], 37):
        broken = bytearray(data)
        broken[at] ^= 0x40
        assert outcome(bytes(broken))[1], at


@pytest.mark.parametrize("data", [b"", b"\x89MCAP0\r\n", b"RIFF" * 40])
def test_what_is_no_recording_is_refused(data: bytes):
    with pytest.raises(RecordingError, match=r"it (was cut off|is no recording)"):
        read(data)


def test_the_mcap_of_others_is_refused():
    from mcap.writer import Writer

    other = io.BytesIO()
    writer = Writer(other)
    writer.start()
    writer.add_metadata("mine", {})
    writer.finish()
    with pytest.raises(RecordingError, match="not of edge-agent"):
        read(other.getvalue())


def test_a_recording_of_a_later_format_is_refused():
    data = written([]).replace(b"format\x01\0\0\x001", b"format\x01\0\0\x002")
    with pytest.raises(RecordingError, match="format 2; this version reads 1"):
        read(data)


# -- the recorder ----------------------------------------------------------------------------------------


def recorder(memory: Memory, clock: ManualClock, **more) -> Recorder:
    known = {"phone": PHONE, "room": ROOM}
    return Recorder(memory, header(clock.monotonic_ns()), lambda c: known[c.sensor], clock, **more)


def stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_what_is_taken_is_written_with_both_clocks():
    clock, memory = ManualClock(5 * S, WALL_NS), Memory()
    taker = recorder(memory, clock)
    sent = [chunk("phone", 5 * S), chunk("room", 5 * S, channels=1, lost=2), chunk("phone", 6 * S)]
    for each in sent:
        clock.advance(0.1)
        taker.take(each)
    taker.run(stopped())
    found, damage = read(memory.kept)
    assert damage == ""
    assert [(a.chunk.sensor, a.chunk.lost, a.sequence) for a in found] == [
        ("phone", 0, 0), ("room", 2, 0), ("phone", 0, 1),
    ]  # fmt: skip
    assert [a.arrival_ns for a in found] == [5.1 * S, 5.2 * S, 5.3 * S]
    assert [a.wall_ns - a.arrival_ns for a in found] == [WALL_NS] * 3
    progress = taker.progress
    assert progress.chunks == {"phone": 2, "room": 1}
    assert progress.dropped == {}
    assert progress.size_bytes == len(memory.kept)
    assert progress.duration_s == pytest.approx(0.3)


def test_what_does_not_fit_is_dropped_and_counted_in_the_file():
    clock, memory = ManualClock(5 * S), Memory()
    taker = recorder(memory, clock, limit=4)
    for i in range(10):
        taker.take(chunk("room" if i == 5 else "phone", i * S, channels=1 if i == 5 else 2))
    taker.run(stopped())
    assert taker.progress.dropped == {"phone": 5, "room": 1}
    found, _ = read(memory.kept)
    assert [a.sequence for a in found] == [5, 6, 7, 8]
    with RecordingReader(io.BytesIO(memory.kept), "it") as reader:
        figures = info(reader)["sensors"]
    assert figures["phone"]["dropped_chunks"] == 5
    assert figures["room"]["dropped_chunks"] == 1
    assert figures["room"]["samples"] == 0


def test_a_malformed_chunk_is_counted_and_the_others_are_recorded():
    clock, memory = ManualClock(5 * S), Memory()
    taker = recorder(memory, clock)
    taker.take(Chunk("phone", np.zeros(2, np.int64), np.zeros((1, 2), np.float32)))
    taker.take(chunk("phone", S))
    taker.run(stopped())
    assert taker.progress.dropped == {"phone": 1}
    assert [a.sequence for a in read(memory.kept)[0]] == [1]


def test_it_is_on_the_disk_while_the_recording_goes_on(tmp_path: Path):
    """As after a loss of power: the recorder is never told to stop before the file is read."""
    path, clock, stop = tmp_path / "a.mcap", ManualClock(5 * S, WALL_NS), threading.Event()
    taker = recorder(create(path), clock)
    thread = threading.Thread(target=taker.run, args=(stop,))
    thread.start()
    try:
        taker.take(chunk("phone", 5 * S))
        wait_for(lambda: (clock.advance(1.0), outcome(path.read_bytes())[0])[1], 20, "the first chunk")
    finally:
        stop.set()
        thread.join(10)
    assert read(path.read_bytes())[1] == ""


@pytest.mark.parametrize("room", [0, 20, 700, 3000])
def test_a_full_disk_ends_the_recording_and_nothing_else(room: int):
    clock, memory, stop = ManualClock(5 * S), Memory(room), threading.Event()
    taker = recorder(memory, clock)
    thread = threading.Thread(target=taker.run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: measured(taker, clock), 20, "the disk to be full")
        assert taker.error == "the recording has ended: No space left on device"
        taker.take(chunk("phone", 0))  # the sensors go on
        assert thread.is_alive()
        assert taker.problem == ""
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert len(memory.kept) == room
    taken = (clock.monotonic_ns() - 5 * S) // S + 1
    kept, dropped = taker.progress.chunks.get("phone", 0), taker.progress.dropped["phone"]
    assert kept + dropped == taken
    if room == 3000:
        found, damage = read(memory.kept)
        assert damage == "cut off"
        assert found
        assert [a.sequence for a in found] == list(range(kept))


def test_beside_an_agent_it_says_how_it_is_when_that_changes_and_now_and_then():
    clock, memory = ManualClock(5 * S, WALL_NS), Memory()
    taker = recorder(memory, clock)
    beside = Recording(taker, "a.mcap", "edge/kitchen/recording", 10.0, clock)

    def said() -> list[dict[str, object]]:
        return [json.loads(message.payload) for message in beside.due() if message.retain]

    assert [body["state"] for body in said()] == ["recording"]
    assert said() == []
    clock.advance(10.0)
    assert [body["duration_s"] for body in said()] == [10.0]
    taker.take(chunk("phone", 5 * S))
    beside.run(stopped())
    [last] = said()
    assert last == {
        "state": "stopped", "reason": "", "file": "a.mcap", "duration_s": 10.0,
        "size_bytes": len(memory.kept), "chunks": {"phone": 1}, "dropped_chunks": {},
        "time_utc": "2025-01-31T12:00:15.000Z",
    }  # fmt: skip
    assert said() == []


def measured(taker: Recorder, clock: ManualClock) -> str:
    """Another second passes."""
    taker.take(chunk("phone", clock.monotonic_ns()))
    clock.advance(1.0)
    return taker.error


def test_a_recording_is_never_written_over(tmp_path: Path):
    path = tmp_path / "a.mcap"
    create(path).close()
    with pytest.raises(RecordingError, match="exists already"):
        create(path)
    with pytest.raises(RecordingError, match="No such file or directory"):
        create(tmp_path / "nowhere" / "a.mcap")


# -- figures and words -----------------------------------------------------------------------------------


def tenth_of_a_second(i: int, **more) -> Arrival:
    """The phone's i-th; it skips half a second after the fifth."""
    start_ns = 5 * S + i * S // 10 + (S // 2 if i >= 5 else 0)
    return Arrival(chunk("phone", start_ns, **more), start_ns + S // 10, WALL_NS + i, i)


def test_the_figures_of_a_recording():
    sent = [tenth_of_a_second(i, lost=50 if i == 5 else 0, simulated=i == 2) for i in range(10) if i != 8]
    data = written(sent, [PHONE], End(7 * S, {"phone": 12}))
    with RecordingReader(io.BytesIO(data), "it") as reader:
        facts = info(reader)
    assert facts["start_utc"] == "2025-01-31T12:00:00.000Z"
    assert facts["duration_s"] == 2.0
    assert facts["size_bytes"] == len(data)
    assert facts["complete"]
    assert facts["windows"] == WINDOWS
    assert facts["sensors"]["phone"] == {
        "slot": "imu_phone",
        "modality": "imu",
        "channels": [{"name": "acc_x", "unit": "m/s2"}, {"name": "gyro_x", "unit": "rad/s"}],
        "simulated": True,
        "chunks": 9,
        "samples": 90,
        "rate_hz": pytest.approx(89 / 1.49, abs=0.01),
        "gaps": 2,
        "lost": 50,
        "dropped_chunks": 3,
    }
    assert facts["sensors"]["room"]["samples"] == 0
    lines = cli_record.info_lines("a.mcap", facts)
    assert lines[0].startswith("a.mcap: 2.0 s since 2025-01-31T12:00:00.000Z, ")
    assert lines[0].endswith("complete")
    assert lines[2] == (
        "phone -> imu_phone: 90 samples, 59.73 Hz, 2 gaps, 50 lost, 3 chunks dropped, simulated"
    )
    assert lines[3] == "room -> no slot: 0 samples, 0 Hz, 0 gaps, 0 lost, 0 chunks dropped"


def test_the_figures_of_a_recording_that_was_cut_off():
    data = written([tenth_of_a_second(i) for i in range(10) if i != 8], [PHONE])
    with RecordingReader(io.BytesIO(data[:-20]), "it") as reader:
        facts = info(reader)
    assert not facts["complete"]
    assert facts["damage"] == "cut off"
    assert facts["sensors"]["phone"]["dropped_chunks"] == 1


def test_the_live_line():
    clock, memory = ManualClock(5 * S), Memory()
    taker = recorder(memory, clock, limit=2)
    assert cli_record.progress_line(taker.progress) == "0:00  0.0 kB  no chunks  0 dropped"
    for i in range(3):
        taker.take(chunk("phone", i * S))
    clock.advance(75)
    taker.run(stopped())
    size = f"{len(memory.kept) / 1e3:.1f} kB"
    line = cli_record.progress_line(taker.progress)
    assert line == f"1:15  {size}  phone 2 chunks  1 dropped (phone 1)"
