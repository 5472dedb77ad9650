"""The protocol without I/O: every case whole, byte by byte, and in random portions."""

from __future__ import annotations

import random
from binascii import crc_hqx
from dataclasses import replace

import pytest
from contracts.bridge_cases import DESCRIPTOR, DEVICE_EVENTS, HOST_EVENTS, samples
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import (
    NEED_DATA,
    Channel,
    ClockRequest,
    Connection,
    Describe,
    Event,
    Hello,
    LocalProtocolError,
    Log,
    LogLevel,
    RemoteProtocolError,
    Role,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    State,
    Stop,
)
from firmware_bridge.connection import SENDS, TRANSITIONS
from firmware_bridge.framing import MAX_BODY_BYTES, Counters, Framer, cobs_decode, cobs_encode, encode_frame


def drain(connection: Connection) -> list[Event]:
    events = []
    while (event := connection.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def streaming_pair() -> tuple[Connection, Connection]:
    """Two connections joined, the device streaming."""
    host, device = Connection(Role.HOST), Connection(Role.DEVICE)
    for sender, receiver, event in (
        (host, device, Hello("host")),
        (device, host, Hello("device", b"uid", "1.0")),
        (host, device, Describe()),
        (device, host, DESCRIPTOR),
        (host, device, Start()),
    ):
        receiver.receive_data(sender.send(event))
        assert drain(receiver) == [event]
        assert sender.state == receiver.state
    assert host.state is State.STREAMING
    return host, device


def test_crc_is_ccitt_false():
    assert crc_hqx(b"123456789", 0xFFFF) == 0x29B1


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [  # Cheshire & Baker 1999, and the edges of a full block of 254
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (b"a" * 253, b"\xfe" + b"a" * 253),
        (b"a" * 254, b"\xff" + b"a" * 254),
        (b"a" * 255, b"\xff" + b"a" * 254 + b"\x02a"),
        (b"a" * 254 + b"\0", b"\xff" + b"a" * 254 + b"\x01\x01"),
        (b"\0" + b"a" * 254, b"\x01\xff" + b"a" * 254),
    ],
)
def test_cobs_known(plain: bytes, stuffed: bytes):
    assert cobs_encode(plain) == stuffed
    assert cobs_decode(stuffed) == plain


@given(st.one_of(st.binary(max_size=1200), st.lists(st.sampled_from([0, 1, 255]), max_size=1200).map(bytes)))
def test_cobs_round_trip(data: bytes):
    stuffed = cobs_encode(data)
    assert 0 not in stuffed
    assert cobs_decode(stuffed) == data


@given(st.binary(max_size=700))
def test_cobs_agrees_with_another_implementation(data: bytes):
    other = pytest.importorskip("cobs.cobs")
    assert cobs_encode(data) == other.encode(data)
    assert cobs_decode(other.encode(data)) == data


@given(st.binary(max_size=300))
def test_cobs_decodes_anything_or_says_no(data: bytes):
    plain = cobs_decode(data)
    assert plain is None or len(plain) < len(data)


@pytest.mark.parametrize("event", [*HOST_EVENTS, *DEVICE_EVENTS], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("portion", [10_000, 1, 7])
def test_every_event_whole_and_in_portions(event: Event, portion: int):
    host, device = streaming_pair()
    sender, receiver = (host, device) if event in HOST_EVENTS else (device, host)
    data = sender.send(event)
    events = []
    for at in range(0, len(data), portion):
        receiver.receive_data(data[at : at + portion])
        events += drain(receiver)
    assert events == [event]
    assert receiver.state is sender.state
    assert receiver.counters.errors == receiver.counters.lost_frames == 0


@settings(deadline=None)
@given(st.data())
def test_a_session_in_random_portions(data: st.DataObject):
    host, device = streaming_pair()
    sent = [samples(index) for index in range(0, 60, 20)] + [Log(LogLevel.INFO, "up")]
    line = b"".join(device.send(event) for event in sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(line)), max_size=20)))
    received = []
    for start, stop in zip([0, *cuts], [*cuts, len(line)], strict=True):
        host.receive_data(line[start:stop])
        received += drain(host)
    assert received == sent


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=4, max_size=4))
def test_resynchronises_after_any_garbage(garbage: list[bytes]):
    """Noise that ends in a delimiter costs nothing; every frame after it arrives."""
    host, device = streaming_pair()
    sent = [samples(index) for index in range(0, 80, 20)]
    received = []
    for noise, event in zip(garbage, sent, strict=True):
        host.receive_data(noise + b"\0" + device.send(event))
        received += drain(host)
    assert received == sent


def test_garbage_without_delimiter_costs_one_frame():
    host, device = streaming_pair()
    host.receive_data(b"\x41\x42\x43" + device.send(samples(0)) + device.send(samples(20)))
    assert drain(host) == [samples(20)]
    assert host.counters.errors == 1
    assert host.counters.lost_frames == 1


def test_bit_flips_are_never_accepted():
    """Each single bit of a frame, and 3,000 random bursts: nothing wrong comes out, the next frame does."""
    rng = random.Random(7)
    host, device = streaming_pair()
    frame = device.send(samples(0))
    after = device.send(samples(20))
    damaged = [bytearray(frame) for _ in range(len(frame) * 8)]
    for bit, copy in enumerate(damaged):
        copy[bit // 8] ^= 1 << bit % 8
    for _ in range(3000):
        copy = bytearray(frame)
        for _ in range(rng.randrange(2, 12)):
            copy[rng.randrange(len(copy))] ^= 1 << rng.randrange(8)
        damaged.append(copy)
    for copy in damaged:
        host.receive_data(bytes(copy) + b"\0" + after)
        events = drain(host)
        assert events[-1] == samples(20)
        assert all(event in (samples(0), samples(20)) for event in events)
    assert host.counters.errors >= len(damaged) - 10


def test_a_run_without_end_is_bounded_and_counted():
    host, device = streaming_pair()
    for _ in range(100):
        host.receive_data(b"\x55" * 1000)
        assert drain(host) == []
    assert host.counters.overflows == 1
    host.receive_data(b"\0" + b"\x55" * 9000 + b"\0" + device.send(samples(0)))
    assert drain(host) == [samples(0)]
    assert host.counters.overflows == 2


def test_frames_nobody_takes_are_bounded_and_counted():
    counters = Counters()
    framer = Framer(counters, max_pending_bytes=1000)
    for number in range(300):
        framer.receive_data(encode_frame(bytes([1, number & 0xFF]) + b"x" * 40))
    taken = 0
    while framer.next_body() is not None:
        taken += 1
    assert 0 < taken < 30
    assert counters.dropped_frames == 300 - taken


def test_the_longest_frame_passes_and_a_longer_one_is_refused():
    counters = Counters()
    framer = Framer(counters)
    body = bytes([6, 0]) + b"\x01" * (MAX_BODY_BYTES - 2)
    framer.receive_data(encode_frame(body))
    assert framer.next_body() == body
    with pytest.raises(LocalProtocolError, match="4097"):
        encode_frame(body + b"\x01")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", [State.GREETING, State.READY, State.STREAMING])
def test_what_the_table_forbids_is_refused_and_changes_nothing(role: Role, state: State):
    events = HOST_EVENTS if role is Role.HOST else DEVICE_EVENTS
    refused = 0
    for event in events:
        host, device = streaming_pair()
        connection = host if role is Role.HOST else device
        connection.state = state
        if (role, type(event)) in TRANSITIONS[state]:
            connection.send(event)
            assert connection.state is TRANSITIONS[state][role, type(event)]
        else:
            refused += 1
            with pytest.raises(LocalProtocolError, match=f"while {state.value}"):
                connection.send(event)
            assert connection.state is state
    assert (refused > 0) == (
        state is not State.STREAMING and (role is Role.DEVICE or state is State.GREETING)
    )


def test_the_roles_share_only_hello():
    assert SENDS[Role.HOST] & SENDS[Role.DEVICE] == {Hello}
    assert {type(event) for event in HOST_EVENTS} == SENDS[Role.HOST]
    assert {type(event) for event in DEVICE_EVENTS} == SENDS[Role.DEVICE]


def test_a_late_frame_is_stray_not_wrong():
    host, device = streaming_pair()
    late = device.send(samples(0))
    device.receive_data(host.send(Stop()))
    assert drain(device) == [Stop()]
    host.receive_data(late)
    assert drain(host) == []
    assert host.counters.stray_frames == 1


def test_a_restarted_device_voids_its_descriptors():
    host, _ = streaming_pair()
    restarted = Connection(Role.DEVICE)
    host.receive_data(restarted.send(Hello("device")))
    assert drain(host) == [Hello("device")]
    assert host.state is State.READY
    assert host.descriptors == {}


def test_what_the_peer_never_sends_is_an_error_that_stays():
    _, device = streaming_pair()
    other = Connection(Role.DEVICE)
    device.receive_data(other.send(Hello("another device")) + other.send(Log(LogLevel.INFO, "?")))
    assert drain_one(device) == Hello("another device")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            device.next_event()
    with pytest.raises(LocalProtocolError, match="while error"):
        device.send(Log(LogLevel.INFO, "no"))


def drain_one(connection: Connection) -> Event:
    event = connection.next_event()
    assert event is not NEED_DATA
    return event


def test_another_version_is_named_by_the_host():
    host = Connection(Role.HOST)
    host.send(Hello("host"))
    device = Connection(Role.DEVICE)
    host.receive_data(device.send(Hello("old board", version=9)))
    with pytest.raises(RemoteProtocolError, match="'old board' speaks version 9, this host 1"):
        host.next_event()


def test_the_device_hears_a_host_of_another_version():
    device = Connection(Role.DEVICE)
    device.receive_data(Connection(Role.HOST).send(Hello("host", version=2)))
    assert drain(device) == [Hello("host", version=2)]


def test_an_unknown_type_is_skipped_and_counted():
    host, device = streaming_pair()
    host.receive_data(encode_frame(b"\x7f\x04future") + device.send(samples(0)))
    assert drain(host) == [samples(0)]
    assert host.counters.unknown_frames == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\x06\x00",  # samples without a payload
        b"\x06\x00\x01\x00" + bytes(12) + b"\x00\x00" + bytes(4),  # no samples in it
        b"\x06\x00\x01\x07" + bytes(12) + b"\x01\x00" + bytes(16),  # unknown timing
        b"\x06\x00\x63\x00" + bytes(12) + b"\x01\x00" + bytes(16),  # a sensor never described
        b"\x06\x00\x01\x00" + bytes(12) + b"\x01\x00" + bytes(5),  # one byte of data where 12 belong
        b"\x06\x00\x01\x01" + bytes(12) + b"\xff\xff" + bytes(8),  # 65,534 deltas that are not there
        b"\x03\x00\x02\x00\x00\x00\x01" + bytes(4) + b"\x01\x00\x01a\x01b\x01" + bytes(10),  # 0 of 0
        b"\x03\x00\x02\x00\x01\x00\x04" + bytes(4) + b"\x01\x00\x01a\x01b\x01" + bytes(10),  # format 4
        b"\x03\x00\x02\x00\x01\x00\x01" + bytes(4) + b"\x01\x00\x01a\x01b\x00",  # no channel
        b"\x03\x00\x02\x00\x01\x00\x01" + bytes(4) + b"\x00\x00\x01a\x01b\x01" + bytes(10),  # no times
        b"\x03\x00\x02\x00\x01\x00\x01" + bytes(4) + b"\xf6\x07\x01a\x01b\x01" + bytes(10),  # 2,038 values
        b"\x03\x00\x02\x00\x01\x00\x03" + bytes(4) + b"\xff\xff\x01a\x01b\x01" + bytes(10),  # 65,535
        b"\x01\x00\x01\x09abc",  # a uid that runs over the end
        b"\x0a\x00\x09x",  # log level 9
    ],
)
def test_an_impossible_payload_is_a_remote_error(body: bytes):
    host, _ = streaming_pair()
    host.receive_data(encode_frame(body))
    with pytest.raises(RemoteProtocolError):
        host.next_event()
    assert host.state is State.ERROR


@pytest.mark.parametrize(
    "event",
    [
        Hello("x" * 256),
        Hello("x", uid=b"u" * 33),
        Hello("x", version=300),
        Samples(1, 0, 0, 2, bytes(23), 10),
        Samples(9, 0, 0, 1, bytes(12), 10),
        Samples(1, 0, 0, 2, bytes(24), None, ()),
        Samples(1, 0, 0, 2, bytes(24), None, (65_536,)),
        Samples(1, 2**32, 0, 1, bytes(12), 10),
        Samples(1, 0, -1, 1, bytes(12), 10),
        Samples(1, 0, 0, 0, b"", 10),
        Samples(1, 0, 0, 400, bytes(4800), 10),
        SensorDescriptor(2, "imu", "imu", (), 100.0),
        SensorDescriptor(2, "imu", "imu", (Channel("x", "1"),), 100.0, repeat=0),
        SensorDescriptor(2, "imu", "imu", (Channel("x", "1"),), 100.0, repeat=-1),
        SensorDescriptor(2, "imu", "imu", (Channel("x", "1"),), 100.0, repeat=2_038),
        SensorDescriptor(2, "imu", "imu", (Channel("x", "1"),) * 6, 100.0, SampleFormat.FLOAT32, repeat=170),
        Log(LogLevel.INFO, "x" * 5000),
    ],
)
def test_what_does_not_fit_is_a_local_error_and_not_sent(event: Event):
    host, device = streaming_pair()
    with pytest.raises(LocalProtocolError):
        device.send(event)
    host.receive_data(device.send(samples(0)))
    assert drain(host) == [samples(0)]
    assert host.counters.lost_frames == 0


def test_the_sample_times():
    assert Samples(1, 0, 100, 3, b"", 10).times_us() == [100, 110, 120]
    assert Samples(1, 0, 2**40, 3, b"", None, (9_000, 65_535)).times_us() == [
        2**40,
        2**40 + 9_000,
        2**40 + 74_535,
    ]


def test_the_columns_of_an_image_are_named_by_row():
    row = tuple(Channel(f"c{column:02}", "pF", 0.5, 1.0) for column in range(15))
    touch = SensorDescriptor(1, "touch", "capacitance", row, 20.0, repeat=27)
    columns = touch.columns()
    assert len(columns) == 405
    assert columns[1] == Channel("c01_00", "pF", 0.5, 1.0)
    assert [channel.name for channel in columns[14:16]] == ["c14_00", "c00_01"]
    assert columns[-1].name == "c14_26"
    assert DESCRIPTOR.columns() == DESCRIPTOR.channels
    thermal = SensorDescriptor(1, "t", "thermal", (Channel("t", "degC"),), 8.0, repeat=768)
    assert [thermal.columns()[at].name for at in (0, 9, 10, 767)] == ["t_000", "t_009", "t_010", "t_767"]
    ten = SensorDescriptor(1, "t", "thermal", (Channel("t", "degC"),), 8.0, repeat=10)
    assert ten.columns()[9].name == "t_9"


@pytest.mark.parametrize(
    ("n_channels", "repeat", "form"),
    [
        (15, 27, SampleFormat.INT16), (1, 768, SampleFormat.INT16), (1, 768, SampleFormat.FLOAT32),
        (1, 2_037, SampleFormat.INT16), (6, 169, SampleFormat.INT32), (97, 21, SampleFormat.INT16),
    ],
)  # fmt: skip
def test_an_image_is_one_sample(n_channels: int, repeat: int, form: SampleFormat):
    """Up to the largest there is, with either timing."""
    host, device = streaming_pair()
    channels = tuple(Channel(f"c{column}", "1") for column in range(n_channels))
    image = SensorDescriptor(2, "image", "depth", channels, 8.0, form, repeat=repeat)
    data = random.Random(repeat).randbytes(image.sample_bytes)
    for event in (image, Samples(2, 0, 5, 1, data), Samples(2, 1, 5, 1, data, 125_000)):
        host.receive_data(device.send(event))
        assert drain(host) == [event]
    with pytest.raises(LocalProtocolError, match="take"):
        device.send(Samples(2, 2, 5, 1, data[:-1]))


def test_a_sensor_is_described_again_but_not_differently():
    host, device = streaming_pair()
    without_rate = replace(DESCRIPTOR, sensor_id=2, rate_hz=float("nan"))
    for event in (DESCRIPTOR, without_rate, without_rate):
        host.receive_data(device.send(event))
        assert isinstance(drain_one(host), SensorDescriptor)
    other = replace(DESCRIPTOR, repeat=2)
    with pytest.raises(LocalProtocolError, match="sensor 1 was described differently"):
        device.send(other)
    restarted = Connection(Role.DEVICE)
    host.receive_data(restarted.send(Hello("device")) + restarted.send(other) + device.send(DESCRIPTOR))
    assert [drain_one(host), drain_one(host)] == [Hello("device"), other]
    with pytest.raises(RemoteProtocolError, match="sensor 1 was described differently"):
        host.next_event()


def test_lost_frames_are_counted_over_the_wrap():
    host, device = streaming_pair()
    for number in range(600):
        frame = device.send(Log(LogLevel.DEBUG, str(number)))
        if number % 10:
            host.receive_data(frame)
    drain(host)
    assert host.counters.lost_frames == 60


def test_text_that_is_not_utf8_is_shown_not_refused():
    host, _ = streaming_pair()
    host.receive_data(encode_frame(b"\x0a\x04\x02caf\xe9"))
    assert drain(host) == [Log(LogLevel.INFO, "caf\ufffd")]


@pytest.mark.parametrize("t1", [0, 2**64 - 1])
def test_the_clock_fields_are_wide_enough(t1: int):
    host, device = streaming_pair()
    device.receive_data(host.send(ClockRequest(t1)))
    assert drain(device) == [ClockRequest(t1)]
