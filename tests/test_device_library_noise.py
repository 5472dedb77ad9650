"""The C library for microcontrollers on a line that damages and invents: nothing wrong gets through."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.bridge_cases import DEVICE_EVENTS, HOST_EVENTS
from contracts.bridge_device import Host
from device_programs import DEVICE, Answer, ProgramLine, Script, build, build_library, events_of, streaming
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import (
    NEED_DATA,
    ClockReply,
    ClockRequest,
    Connection,
    Event,
    Hello,
    RemoteProtocolError,
    Role,
    Samples,
    Start,
)
from firmware_bridge.device.test import golden
from firmware_bridge.framing import encode_frame
from firmware_bridge.wire import encode

FRAMES = int(os.environ.get("EDGE_AGENT_BRIDGE_FRAMES", "1000000"))
"""How many frames the flood has: fewer by EDGE_AGENT_BRIDGE_FRAMES=100000."""
REQUESTS = FRAMES // 4
REQUEST_BYTES_PER_BIT_ERROR = 150
"""A request is a tenth as long as a frame of samples; so about as many are hit."""
QUIET_READS = 6
"""Reads of nothing, 50 ms each, after which the other side has said all."""
BATCH, CHANNELS = 10, 6
FRAME_BYTES = 1 + (18 + 2 * (BATCH - 1) + 2 * CHANNELS * BATCH + 2) + 1
"""COBS code byte, body and CRC, delimiter: a frame of under 254 bytes is stuffed by one."""
BYTES_PER_BIT_ERROR = 1500


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module")
def script(library: Path) -> Iterator[Script]:
    running = Script(build(library, DEVICE / "test" / "script_main.c"))
    yield running
    running.end()


class Twin:
    """The Python device, restarted as the C one restarts itself: both must count alike."""

    def __init__(self) -> None:
        self.totals = [0, 0, 0, 0, 0]
        self.breaches = 0
        self._begin()

    def _begin(self) -> None:
        self.connection = Connection(Role.DEVICE)
        self.connection.send(golden.HELLO)

    def receive(self, data: bytes) -> None:
        self.connection.receive_data(data)
        try:
            while (event := self.connection.next_event()) is not NEED_DATA:
                if isinstance(event, Hello):
                    self.connection.send(golden.HELLO)
        except RemoteProtocolError:
            self.breaches += 1
            self.totals = self.counts()[:5]
            self._begin()

    def counts(self) -> list[int]:
        c = self.connection.counters
        now = [c.frames, c.framing_errors, c.crc_errors, c.lost_frames, c.unknown_frames]
        return [before + more for before, more in zip(self.totals, now, strict=True)] + [self.breaches]


def check_against_the_twin(script: Script, runs: list[bytes]) -> Answer:
    """Each run ends in a delimiter, so that Python meets a breach where it is and not later."""
    script.begin(golden.HELLO, golden.SENSORS)
    twin = Twin()
    for run in runs:
        answer = script("rx", run + b"\0")
        twin.receive(run + b"\0")
        assert twin.counts() == [
            answer.frames, answer.framing_errors, answer.crc_errors,
            answer.lost_frames, answer.unknown_frames, answer.breaches,
        ]  # fmt: skip
    return answer


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300), st.lists(st.sampled_from([1, 2, 3, 255]), max_size=300).map(bytes)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_garbage_never_crashes_it_and_the_next_frame_is_heard(script: Script, noise: list[bytes]):
    runs = [run for part in noise for run in part.split(b"\0")]
    check_against_the_twin(script, runs)
    assert script("rx", Connection(Role.HOST).send(Hello("host"))).line.endswith(b"\0")


BODIES = st.one_of(
    st.binary(min_size=1, max_size=80),
    st.tuples(st.integers(0, 11), st.integers(0, 255), st.binary(max_size=60)).map(
        lambda parts: bytes(parts[:2]) + parts[2]
    ),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(BODIES, min_size=1, max_size=8))
def test_intact_frames_of_any_content_are_judged_as_python_judges_them(script: Script, bodies: list[bytes]):
    check_against_the_twin(script, [encode_frame(body)[:-1] for body in bodies])


@pytest.mark.parametrize("event", HOST_EVENTS, ids=lambda event: type(event).__name__)
def test_a_payload_that_ends_early_is_a_breach_and_one_that_ends_late_is_none(script: Script, event: Event):
    code, payload = encode(event)
    bodies = [bytes([code, 0]) + payload[:size] for size in range(len(payload) + 1)]
    bodies.append(bodies[-1] + b"more")
    answer = check_against_the_twin(script, [encode_frame(body)[:-1] for body in bodies])
    assert answer.breaches == len(payload)


def test_every_bit_flip_in_every_host_frame_is_noticed(script: Script):
    host = streaming(script)
    frames = [host.send(event).strip(b"\0") for event in HOST_EVENTS if not isinstance(event, Hello)]
    for frame in frames:
        for bit in range(len(frame) * 8):
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << bit % 8
            answer = script("rx", bytes(damaged) + b"\0")
            assert (answer.line, answer.running, answer.breaches) == (b"", (True,) * 4, 0)


def test_bit_errors_from_the_host_cost_requests_and_invent_none(script: Script):
    rng = random.Random(5)
    host = streaming(script)
    before = script("flush", 0)
    asked = [rng.randrange(2**64) for _ in range(3000)]
    line = bytearray(b"".join(host.send(ClockRequest(sent_ns)) for sent_ns in asked))
    for _ in range(400):
        line[rng.randrange(len(line) - 40)] ^= 1 << rng.randrange(8)
    answer = script("rx", bytes(line))
    replies = [event.sent_ns for event in events_of(host, answer.line)]
    lost = answer.lost_frames - before.lost_frames
    assert len(replies) == len(asked) - lost
    assert 100 < lost < 800
    assert [sent_ns for sent_ns in asked if sent_ns in set(replies)] == replies


def test_the_fuzz_target_on_seeded_input(library: Path):
    """Pure noise, and intact frames of every kind with damage behind their CRC's back."""
    rng = random.Random(12)
    program = build(library, Path(__file__).parent / "fuzz" / "fuzz_device.c", "-DSTANDALONE")
    bodies = [bytes([code, 0]) + payload for code, payload in map(encode, [*HOST_EVENTS, *DEVICE_EVENTS])]
    inputs = [rng.randbytes(rng.randrange(400)) for _ in range(300)]
    for _ in range(300):
        picked = [bytearray(rng.choice(bodies)) for _ in range(4)]
        for body in picked:
            for _ in range(rng.randrange(3)):
                body[rng.randrange(len(body))] = rng.randrange(256)
        inputs.append(b"\xa5".join(picked))
    data = b"".join(struct.pack("<H", len(one)) + one for one in inputs)
    result = subprocess.run([program], input=data, capture_output=True, check=True, timeout=60)
    assert int(result.stdout) == 600


# ---- a flood of frames over a pty, with bit errors in between ----


def counted_rows(first: int, count: int) -> bytes:
    """The data of samples `first` to `first + count`, as device_main.c counts them."""
    numbers = range(first, first + count)
    rows = ((number * 31 + channel * 1009) % 601 - 300 for number in numbers for channel in range(CHANNELS))
    return struct.pack(f"<{count * CHANNELS}h", *rows)


def counted_time_us(number: int) -> int:
    return number * 10_000 + number % 5 * 13


class Expected:
    """Every frame that the flood may bring, told by its first index."""

    def __init__(self) -> None:
        self._data = counted_rows(0, 601 + BATCH)  # the values repeat after 601 samples
        self._deltas_us = tuple(counted_time_us(i + 1) - counted_time_us(i) for i in range(BATCH - 1))

    def check(self, got: Samples) -> None:
        at = got.first_index % 601 * 2 * CHANNELS
        assert got == Samples(
            1, got.first_index, counted_time_us(got.first_index), BATCH,
            self._data[at : at + BATCH * 2 * CHANNELS], None, self._deltas_us,
        )  # fmt: skip
        assert got.first_index % BATCH == 0


class BitErrors:
    """Flips one bit every so often: the distances are random, and the same in every run."""

    def __init__(self, seed: int, bytes_apart: int = BYTES_PER_BIT_ERROR) -> None:
        self._rng = random.Random(seed)
        self._bytes_apart = bytes_apart
        self._until_next = 0
        self.flipped = 0

    def damage(self, data: bytes) -> bytes:
        copy = bytearray(data)
        while self._until_next < len(copy):
            copy[self._until_next] ^= 1 << self._rng.randrange(8)
            self.flipped += 1
            self._until_next += 1 + int(self._rng.expovariate(1 / self._bytes_apart))
        self._until_next -= len(copy)
        return bytes(copy)


@pytest.mark.e2e
@pytest.mark.timeout(60 + FRAMES // 2_000)
def test_every_frame_of_a_flood_is_delivered_or_counted_as_lost(library: Path):
    """C to Python over a pty. Two counts that know nothing of each other must agree on what was lost."""
    program = build(library, DEVICE / "test" / "device_main.c")
    line = ProgramLine(program, "--flood", str(FRAMES), pty=True)
    host, errors, expected = Host(line), BitErrors(seed=1), Expected()
    host.greet()
    host.describe()
    host.send(Start())
    began_s, received, total = time.monotonic(), 0, FRAMES * FRAME_BYTES
    delivered = lost = next_index = 0
    while received < total:
        data = line.read()
        # The last frame stays whole, so that the clock's reply behind it does too.
        damaged = max(0, min(len(data), total - FRAME_BYTES - received))
        received += len(data)
        for got in events_of(host.connection, errors.damage(data[:damaged]) + data[damaged:]):
            expected.check(got)
            assert got.first_index >= next_index
            lost += got.first_index - next_index
            next_index = got.first_index + BATCH
            delivered += 1
    took_s = time.monotonic() - began_s
    lost += FRAMES * BATCH - next_index
    host.send(ClockRequest(2))
    host.wait(ClockReply)  # its sequence number shows what is missing at the end
    line.close()
    counters = host.connection.counters
    print(
        f"\n{FRAMES} frames, {received} bytes, {errors.flipped} bit errors, {took_s:.1f} s: "
        f"{delivered} delivered, {lost // BATCH} lost by index, {counters.lost_frames} by sequence; "
        f"{counters}"
    )
    assert delivered + lost // BATCH == FRAMES
    assert lost == counters.lost_frames * BATCH
    assert FRAMES // 50 < counters.lost_frames < 2 * errors.flipped
    assert counters.errors > counters.lost_frames // 2
    assert counters.unknown_frames == counters.stray_frames == counters.dropped_frames == 0


def exchanged(line: ProgramLine, host: Host, asked: bytes, errors: BitErrors) -> Iterator[Event]:
    """Write all that is asked while what comes back is read, damaged, and told event by event."""
    sent = quiet = 0
    while sent < len(asked) or quiet < QUIET_READS:
        sent += line.write_some(asked[sent : sent + 4096])
        data = line.read()
        quiet = 0 if data or sent < len(asked) else quiet + 1
        yield from events_of(host.connection, errors.damage(data))


@pytest.mark.e2e
@pytest.mark.timeout(60 + FRAMES // 2_000)
def test_every_request_of_a_flood_is_answered_or_counted_as_lost(library: Path, tmp_path: Path):
    """Python to C and back, with bit errors both ways: what C counts and what Python counts must add up."""
    program, file = build(library, DEVICE / "test" / "device_main.c"), tmp_path / "counters"
    line = ProgramLine(program, "--flood", "1", "--counters", str(file), pty=True)
    host = Host(line)
    host.greet()
    greeting, before = host.sent, host.connection.counters.lost_frames
    there, back = (BitErrors(seed, REQUEST_BYTES_PER_BIT_ERROR) for seed in (2, 3))
    asked = there.damage(b"".join(host.connection.send(ClockRequest(n)) for n in range(REQUESTS))) + b"\0"
    answered, last_us = [], 0
    for reply in exchanged(line, host, asked, back):
        assert isinstance(reply, ClockReply)
        assert last_us < reply.received_us <= reply.replied_us
        last_us = reply.replied_us
        answered.append(reply.sent_ns)
    host.events.clear()
    while not host.events:  # the numbers of these, which nothing damages, show what is missing at the end
        host.send(ClockRequest(REQUESTS))
        host.listen()
    line.close()
    frames, lost, framing, crc, unknown, breaches = map(int, file.read_text().split())
    lost_back = host.connection.counters.lost_frames - before
    print(
        f"\n{REQUESTS} requests, {there.flipped} bit errors there, {back.flipped} back: {lost} lost there, "
        f"{lost_back} back, {len(answered)} answered; C: {framing} framing and {crc} CRC errors; "
        f"{host.connection.counters}"
    )
    assert sorted(set(answered)) == answered, "each once, in order"
    assert 0 <= answered[0] < answered[-1] < REQUESTS
    assert frames + lost == REQUESTS + host.sent
    assert len(answered) + len(host.events) + lost_back == frames - greeting
    assert unknown == breaches == host.connection.counters.unknown_frames == 0
    assert REQUESTS // 50 < lost < 2 * there.flipped
    assert REQUESTS // 50 < lost_back < 2 * back.flipped
