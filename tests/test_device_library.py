"""The C library for microcontrollers against the Python side of the protocol, call by call."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from contracts.bridge_cases import DESCRIPTOR
from device_programs import (
    BATCH_BYTES,
    DEVICE,
    WARNINGS,
    Answer,
    Script,
    answers_only,
    build,
    build_library,
    compiler,
    events_of,
    streaming,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import (
    Channel,
    ClockReply,
    ClockRequest,
    Connection,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    LogLevel,
    Role,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)
from firmware_bridge.device.test import golden
from firmware_bridge.framing import encode_frame

GOLDEN = DEVICE / "test" / "golden_frames.txt"
SIZES = {SampleFormat.INT16: 2, SampleFormat.INT32: 4, SampleFormat.FLOAT32: 4}


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    library = build_library(tmp_path_factory.mktemp("device"))
    running = Script(build(library, DEVICE / "test" / "script_main.c"))
    yield running
    running.end()


# ---- it compiles everywhere ----


@pytest.mark.parametrize(
    "command", [("gcc", "-std=c99"), ("g++", "-x", "c++", "-std=c++11"), ("clang", "-std=c99")], ids=" ".join
)
def test_it_compiles_without_a_warning(command: tuple[str, ...]):
    flags = [*command[1:], *WARNINGS, "-Wshadow", "-ffreestanding", "-fsyntax-only"]
    subprocess.run([compiler(command[0]), *flags, DEVICE / "edge_bridge.c"], check=True)


def test_the_main_of_the_readme_compiles(tmp_path: Path):
    (shown,) = re.findall(r"```c\n(.*?)```", (DEVICE / "README.md").read_text(), re.DOTALL)
    (tmp_path / "main.c").write_text(shown)
    flags = ["-std=c99", *WARNINGS, "-fsyntax-only", "-I", DEVICE]
    subprocess.run([compiler("gcc"), *flags, tmp_path / "main.c"], check=True)


def test_it_leaves_an_arduino_uno_room_for_an_image(tmp_path: Path):
    """2 kB of RAM, of which a matrix of 27 x 15 takes 810 bytes and Arduino's Serial about 160."""
    (tmp_path / "bridge.c").write_text('#include "edge_bridge.h"\nedge_bridge bridge;\n')
    flags = ["-mmcu=atmega328p", "-std=c99", "-Os", "-fno-common", *WARNINGS, "-I", DEVICE]
    sources = [tmp_path / "bridge.c", DEVICE / "edge_bridge.c"]
    subprocess.run([compiler("avr-gcc"), *flags, "-c", *sources], cwd=tmp_path, check=True)
    sized = subprocess.run(
        ["avr-size", "bridge.o", "edge_bridge.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    ram = sum(int(row.split()[1]) + int(row.split()[2]) for row in sized.stdout.splitlines()[1:])
    assert 300 < ram < 512


def test_it_needs_no_other_headers():
    text = (DEVICE / "edge_bridge.c").read_text() + (DEVICE / "edge_bridge.h").read_text()
    included = {line.split()[1] for line in text.splitlines() if line.startswith("#include")}
    assert included == {'"edge_bridge.h"', "<stdbool.h>", "<stddef.h>", "<stdint.h>", "<string.h>"}


# ---- the golden frames ----


def test_the_golden_frames_are_what_python_writes():
    assert golden.text() == GOLDEN.read_text(), "see firmware_bridge/device/test/golden.py"


def golden_lines() -> list[bytes]:
    rows = [row.split() for row in GOLDEN.read_text().splitlines() if not row.startswith("#")]
    return [bytes.fromhex(row[2]) for row in rows]


def test_python_reads_the_golden_frames():
    ends = {Role.HOST: Connection(Role.DEVICE), Role.DEVICE: Connection(Role.HOST)}
    for (role, event, _), line in zip(golden.conversation(), golden_lines(), strict=True):
        receiver = ends[role]
        assert events_of(receiver, line) == [event]
        ends[Role.DEVICE if role is Role.HOST else Role.HOST].state = receiver.state


@pytest.mark.parametrize("portion", [10_000, 1, 7])
def test_c_writes_and_reads_the_golden_frames(script: Script, portion: int):
    (_, _, greeting), *steps = golden.conversation()
    written, expected = script.begin(golden.HELLO, golden.SENSORS).line, greeting
    script("now", golden.DEVICE_NOW_US)
    for (role, event, _), line in zip(steps, golden_lines()[1:], strict=True):
        if role is Role.HOST:
            for at in range(0, len(line), portion):
                written += script("rx", line[at : at + portion]).line
        else:
            expected += line
            written += b"" if answers_only(event) else script.send(event)
    assert written == expected


# ---- every event, C to Python ----

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
CHANNELS = st.lists(st.builds(Channel, TEXT, TEXT, FLOATS, FLOATS), min_size=1, max_size=6).map(tuple)


@settings(deadline=None, max_examples=60)
@given(
    st.builds(Hello, TEXT, st.binary(max_size=32), TEXT),
    st.lists(
        st.tuples(
            TEXT, TEXT, CHANNELS, FLOATS, st.sampled_from(SampleFormat), st.booleans(), st.integers(1, 169),
        ),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
def test_any_device_describes_itself(script: Script, hello: Hello, sensors: list[tuple]):
    described = [
        SensorDescriptor(at + 1, name, modality, channels, rate_hz, form, at, len(sensors), simulated, repeat)
        for at, (name, modality, channels, rate_hz, form, simulated, repeat) in enumerate(sensors)
    ]
    host = Connection(Role.HOST)
    assert events_of(host, script.begin(hello, described).line) == [hello]
    assert events_of(host, script("rx", host.send(Describe())).line) == described
    assert host.counters.errors == host.counters.lost_frames == 0


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_samples_arrive_as_they_were(script: Script, data: st.DataObject):
    host = streaming(script)
    next_index = [0, 0, 0, 0]
    for _ in range(4):
        sensor = data.draw(st.sampled_from(golden.SENSORS))
        count = data.draw(st.integers(1, 40))
        raw = data.draw(st.binary(min_size=count * sensor.sample_bytes, max_size=count * sensor.sample_bytes))
        time_us = data.draw(st.integers(0, 2**63))
        at = sensor.position
        if data.draw(st.booleans()):
            interval_us = data.draw(st.integers(0, 2**32 - 1))
            sent = Samples(sensor.sensor_id, next_index[at], time_us, count, raw, interval_us)
        else:
            deltas_us = data.draw(st.lists(st.integers(0, 65_535), min_size=count - 1, max_size=count - 1))
            sent = Samples(sensor.sensor_id, next_index[at], time_us, count, raw, None, tuple(deltas_us))
        next_index[at] += count
        assert events_of(host, script.send(sent)) == [sent]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.builds(Log, st.sampled_from(LogLevel), TEXT), st.builds(Error, st.integers(0, 255), TEXT)
        )
    )
)
def test_any_messages_arrive(script: Script, events: list[Event]):
    host = streaming(script)
    assert [e for event in events for e in events_of(host, script.send(event))] == events


def test_bodies_of_every_length_around_full_blocks(script: Script):
    """Runs without a zero, and runs that end in one, at the edges of one and two COBS blocks."""
    script.begin(golden.HELLO, golden.SENSORS)
    for length in (*range(240, 262), *range(494, 516), 4093):
        for text in ("x" * length, "x" * (length - 2) + "\1\1"):
            sequence = (script("log", 2, "").line[2] + 1) & 0xFF
            body = bytes([0x0A, sequence, 2]) + text.encode()
            if sequence:  # cobs keeps the sequence as it is unless it is zero
                assert script.send(Log(LogLevel.INFO, text)) == encode_frame(body)


def test_a_message_that_is_too_long_is_cut(script: Script):
    host = streaming(script)
    assert events_of(host, script.send(Log(LogLevel.INFO, "x" * 5000))) == [Log(LogLevel.INFO, "x" * 4093)]


# ---- every event, Python to C ----


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_clock_request_is_answered(script: Script, sent_ns: int, now_us: int):
    host = streaming(script)
    script("now", now_us)
    line = script("rx", host.send(ClockRequest(sent_ns))).line
    assert events_of(host, line) == [ClockReply(sent_ns, now_us, now_us)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 255), max_size=255))
def test_any_start_starts_those_that_it_names(script: Script, ids: list[int]):
    host = streaming(script)
    assert script("rx", host.send(Stop())).running == (False,) * 4
    assert script("rx", host.send(Start(tuple(ids)))).running == tuple(
        not ids or sensor.sensor_id in ids for sensor in golden.SENSORS
    )


@settings(deadline=None, max_examples=60)
@given(st.builds(Hello, TEXT, st.binary(max_size=32), TEXT, st.integers(0, 255)))
def test_any_hello_is_answered_and_voids_what_was_before(script: Script, hello: Hello):
    host = streaming(script)
    answer = script("rx", host.send(hello))
    assert events_of(host, answer.line) == [golden.HELLO]
    assert not any(answer.running)
    assert not any(script("rx", host.send(Start())).running), "started without a description"


def test_the_longest_hello_is_heard_and_what_is_longer_is_counted(script: Script):
    host = streaming(script)
    longest = Hello("x" * 255, b"u" * 32, "y" * 255)
    assert events_of(host, script("rx", host.send(longest)).line) == [golden.HELLO]
    answer = script("rx", encode_frame(b"\x01\x00" + b"z" * 600) + b"\0" + b"\x55" * 6000 + b"\0")
    assert (answer.overflows, answer.line) == (2, b"")
    assert events_of(host, script("rx", host.send(ClockRequest(1))).line)


# ---- samples that cannot go as they come ----


def sample(script: Script, time_us: int, value: int = 1) -> Answer:
    return script("sample", 1, time_us, struct.pack("<h", value))


def test_a_full_batch_goes_by_itself_and_one_without_memory_at_once(script: Script):
    host = streaming(script, batch_bytes=10 * (2 + 2) + 3)
    lines = [sample(script, 10 * i).line for i in range(10)]
    assert lines[:9] == [b""] * 9
    (batch,) = events_of(host, lines[9])
    assert isinstance(batch, Samples)
    assert batch.times_us() == [10 * i for i in range(10)]
    host = streaming(script, batch_bytes=0)
    assert events_of(host, sample(script, 5).line) == [Samples(2, 0, 5, 1, b"\1\0", None, ())]


def test_a_batch_is_never_longer_than_a_frame(script: Script):
    host = streaming(script)  # 5000 bytes hold 357 samples of 14, a frame of 4096 has room for 291
    lines = b"".join(script("sample", 0, i, bytes(12)).line for i in range(291))
    (batch,) = events_of(host, lines)
    assert isinstance(batch, Samples)
    assert batch.count == 291


def image_sensor(n_channels: int, repeat: int, form: SampleFormat = SampleFormat.INT16) -> SensorDescriptor:
    channels = tuple(Channel(f"c{column:02}", "1") for column in range(n_channels))
    return SensorDescriptor(1, "image", "depth", channels, 8.0, form, repeat=repeat)


@pytest.mark.parametrize("batch_bytes", [0, 2_000, BATCH_BYTES])
@pytest.mark.parametrize("sensor", [
    image_sensor(15, 27), image_sensor(1, 768), image_sensor(1, 768, SampleFormat.FLOAT32),
    image_sensor(1, 2_037), image_sensor(6, 169, SampleFormat.INT32),
], ids=lambda sensor: f"{len(sensor.channels)}x{sensor.repeat}")  # fmt: skip
def test_an_image_is_one_sample(script: Script, sensor: SensorDescriptor, batch_bytes: int):
    """Up to the largest there is, with either timing, with and without a batch that holds one."""
    host = streaming(script, sensor, batch_bytes=batch_bytes)
    assert host.descriptors == {1: sensor}
    size, rng = sensor.sample_bytes, random.Random(batch_bytes)
    for index in range(4):
        image = rng.randbytes(size)
        timed = Samples(1, index, index * 50_000, 1, image, 125_000 if index % 2 else None)
        assert events_of(host, script.send(timed)) == [timed]
    held = [script("sample", 0, 10 * number, rng.randbytes(size)).line for number in range(12)]
    got = events_of(host, b"".join(held) + script("flush", 0).line)
    counts = [samples.count for samples in got]
    assert sum(counts) == 12
    assert counts[0] == max(1, min(batch_bytes, 4_080) // (2 + size))


def test_no_repetition_given_is_one(script: Script):
    """What C leaves out of an initialiser is 0."""
    host = streaming(script, image_sensor(3, 0))
    assert host.descriptors == {1: image_sensor(3, 1)}
    sent = Samples(1, 0, 5, 1, b"abcdef", None, ())
    assert events_of(host, script.send(sent)) == [sent]


def test_a_block_comes_after_what_is_held(script: Script):
    host = streaming(script)
    sample(script, 1)
    assert [s.first_index for s in events_of(host, script("block", 1, 9, 1, 2, bytes(4)).line)] == [0, 1]


@pytest.mark.parametrize(("times_us", "counts"), [
    ((0, 65_535, 65_536 + 65_535), [2]), ((0, 10, 65_547), [2]), ((100, 50), [1]), ((5, 5), []),
])  # fmt: skip
def test_a_pause_or_a_step_back_begins_a_new_frame(
    script: Script, times_us: tuple[int, ...], counts: list[int]
):
    host = streaming(script)
    sent = [e for time_us in times_us for e in events_of(host, sample(script, time_us).line)]
    sent += events_of(host, script("flush", 1).line)
    assert [t for samples in sent for t in samples.times_us()] == list(times_us)
    assert [samples.count for samples in sent[:-1]] == counts
    assert [samples.first_index for samples in sent] == [0, *accumulate(s.count for s in sent[:-1])]


def test_the_count_of_samples_wraps(script: Script):
    host = streaming(script)
    script("index", 1, 2**32 - 2)
    lines = b"".join(sample(script, i).line + script("flush", 1).line for i in range(4))
    assert [e.first_index for e in events_of(host, lines)] == [2**32 - 2, 2**32 - 1, 0, 1]


def test_samples_nobody_wants_go_nowhere(script: Script):
    host = streaming(script)
    sample(script, 1)
    script("rx", host.send(Stop()))
    assert sample(script, 2).line == script("flush", 1).line == b""
    script("rx", host.send(Start()))
    assert script("sample", 9, 5, b"").line == b""
    sample(script, 3)
    assert events_of(host, script("flush", 1).line) == [Samples(2, 0, 3, 1, b"\1\0", None, ())]


def test_a_block_that_no_frame_holds_is_refused(script: Script):
    streaming(script)
    answer = script("block", 1, 0, 1, 2038, bytes(2 * 2038))
    assert (answer.ok, answer.line) == (False, b"")
    assert not script("block", 1, 0, 1, 0, b"").ok


def test_what_the_line_does_not_take_is_a_hole_of_known_size(script: Script):
    host = streaming(script, batch_bytes=5 * 4)
    script("room", 0)
    answers = [sample(script, i) for i in range(5)]
    assert [answer.ok for answer in answers] == [True] * 4 + [False]
    assert (answers[-1].dropped_samples, answers[-1].dropped_frames, answers[-1].line) == (5, 1, b"")
    script("room", 1)
    (got,) = events_of(host, b"".join(sample(script, i).line for i in range(5)))
    assert isinstance(got, Samples)
    assert got.first_index == 5
    assert host.counters.lost_frames == 1


@pytest.mark.parametrize("taken", [0, 1, 200, 600])
def test_a_frame_that_was_cut_off_costs_no_other(script: Script, taken: int):
    """The next frame ends the torn one first, and only that one."""
    host = streaming(script)
    script("line", taken)
    cut = script("block", 1, 0, 1, 500, b"\1" * 1000)
    assert (cut.ok, cut.dropped_samples, cut.dropped_frames, len(cut.line)) == (False, 500, 1, taken)
    script("line", 2**30)
    sample(script, 7)
    after = script("flush", 1).line
    assert events_of(host, cut.line + after) == [Samples(2, 500, 7, 1, b"\1\0", None, ())]
    assert host.counters.lost_frames == 1
    sample(script, 9)
    assert not script("flush", 1).line.startswith(b"\0")


@pytest.mark.parametrize("hello", [Hello("x" * 256), Hello("x", b"u" * 33), Hello("x", b"", "y" * 256)])
def test_a_board_that_does_not_fit_is_refused(script: Script, hello: Hello):
    answer = script.begin(hello, golden.SENSORS)
    assert (answer.ok, answer.line) == (False, b"")


@pytest.mark.parametrize("sensors", [
    (), (golden.SENSORS[0],) * 5,
    (SensorDescriptor(1, "x" * 256, "imu", DESCRIPTOR.channels, 1.0),),
    (SensorDescriptor(1, "x", "imu", (), 1.0),),
    (SensorDescriptor(1, "x", "imu", (Channel("x", "u" * 256),), 1.0),),
    (SensorDescriptor(1, "x", "imu", (Channel("twelve bytes", "1"),) * 200, 1.0),),
    (SensorDescriptor(1, "x", "imu", (Channel("x", "1"),), 1.0, repeat=2_038),),
    (SensorDescriptor(1, "x", "imu", (Channel("x", "1"),) * 6, 1.0, SampleFormat.INT32, repeat=170),),
    (SensorDescriptor(1, "x", "imu", (Channel("x", "1"),) * 255, 1.0, repeat=65_535),),
])  # fmt: skip
def test_a_sensor_that_does_not_fit_is_refused(script: Script, sensors: tuple[SensorDescriptor, ...]):
    answer = script.begin(golden.HELLO, sensors)
    assert (answer.ok, answer.line) == (False, b"")


def test_a_32_bit_counter_becomes_64_bits(script: Script):
    counts = [5, 2**32 - 1, 0, 7, 2**31, 3]
    times_us = [script("widen", count).now_us for count in counts]
    assert [time_us & 0xFFFFFFFF for time_us in times_us] == counts
    assert all(0 < after - before < 2**32 for before, after in pairwise(times_us))
