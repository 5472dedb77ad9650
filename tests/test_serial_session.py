"""The host's conversation without a port: lost questions, restarts, silence, wraps, clocks."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from contracts.bridge_cases import DESCRIPTOR, samples

from edge_agent.errors import SensorError
from edge_agent.sensors.bridge import BridgeSession, StreamTarget
from edge_agent.sensors.simulated import SimulatedStream, simulated_imu
from edge_agent.sensors.simulated_firmware import SimulatedFirmware
from edge_agent.types import Chunk, SensorHealth, SensorState
from firmware_bridge import (
    NEED_DATA,
    ClockReply,
    Connection,
    Hello,
    RemoteProtocolError,
    Role,
    Samples,
    Start,
    State,
)

STEP_NS = 10_000_000
ORIGIN_NS = 5_000_000_000_000
CLOCK_START_US = 2**32 - 1_000_000


class Bench:
    """A session and a firmware on one made-up clock; `spoil` may change what goes either way."""

    def __init__(self, *, drift_ppm: float = 0.0, delay_ns: int = 300_000) -> None:
        t_us, values = simulated_imu("walking", 3.0, np.random.default_rng(3))
        self.source = SimulatedStream("imu", t_us, values)
        self.firmware = SimulatedFirmware([self.source], clock_start_us=CLOCK_START_US)
        self.session = new_session()
        self.health = self.session.healths["phone"]
        self.now_ns = ORIGIN_NS
        self.rate = 1 + drift_ppm * 1e-6
        self.delay_ns = delay_ns
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        self.chunks: list[Chunk] = []
        self.lags_ns: list[int] = []
        """Arrival of each chunk, after its last sample was taken."""
        self.sensor_works = True
        self.firmware.boot(self.age_us())

    def age_us(self) -> int:
        return int((self.now_ns - ORIGIN_NS) * self.rate) // 1000

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            out = self.spoil(self.session.outgoing(self.now_ns))
            self.now_ns += self.delay_ns
            back = self.firmware.receive(out, self.age_us())
            if self.sensor_works:
                back += b"".join(self.firmware.due(self.age_us()))
            self.now_ns += self.delay_ns
            new = self.session.receive(self.spoil(back), self.now_ns)
            self.chunks += new
            self.lags_ns += [self.now_ns - int(chunk.times_ns[-1]) for chunk in new]
            self.now_ns += STEP_NS - 2 * self.delay_ns


def new_session() -> BridgeSession:
    return BridgeSession({"imu": StreamTarget("phone", "imu_phone")}, {"phone": SensorHealth()})


@pytest.mark.parametrize("drift_ppm", [-80.0, 0.0, 80.0])
def test_times_are_the_hosts_whatever_the_boards_clock_does(drift_ppm: float):
    bench = Bench(drift_ppm=drift_ppm)
    bench.run(60)
    # A batch leaves within a step of the bench after its last sample, and takes the delay to arrive.
    assert max(bench.lags_ns) < STEP_NS + bench.delay_ns + 1_000_000
    assert min(bench.lags_ns) >= 0
    assert bench.session.clock_map is not None
    shown_us = CLOCK_START_US + bench.age_us()
    assert bench.session.clock_map.to_host_ns(shown_us) == pytest.approx(bench.now_ns, abs=50_000)
    assert bench.session.clock_map.drift_ppm == pytest.approx(drift_ppm, abs=3)
    times_ns = np.concatenate([chunk.times_ns for chunk in bench.chunks])
    assert (np.diff(times_ns) >= 0).all()
    assert (times_ns[-1] - times_ns[0]) / (len(times_ns) - 1) == pytest.approx(10e6, rel=0.01)


def test_every_question_is_asked_again_until_it_is_answered():
    rng = random.Random(4)
    bench = Bench()
    bench.spoil = lambda data: data if rng.random() < 0.4 else b""
    bench.run(20)
    assert bench.session.connection.state is State.STREAMING
    assert bench.health.samples > 100
    assert bench.health.lost == sum(chunk.lost for chunk in bench.chunks) > 0


def test_noise_costs_frames_and_is_counted():
    rng = random.Random(5)
    bench = Bench()
    bench.run(1)

    def flip(data: bytes) -> bytes:
        spoilt = bytearray(data)
        if data and rng.random() < 0.3:
            spoilt[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(spoilt)

    bench.spoil = flip
    bench.run(20)
    assert bench.health.errors == bench.session.connection.counters.errors > 10
    assert bench.health.lost > 0
    values = np.concatenate([chunk.values for chunk in bench.chunks])
    assert np.abs(values).max() <= np.abs(bench.source.values).max() + 0.01


def test_a_board_that_restarts_is_taken_up_again_on_the_same_port():
    bench = Bench()
    bench.run(3)
    had, lost = bench.health.samples, bench.health.lost
    assert bench.health.clock is not None
    bench.session.receive(bench.firmware.boot(bench.age_us()), bench.now_ns)
    assert bench.health.clock is None
    bench.run(2)
    assert bench.health.clock is not None
    restarted_ms = (bench.now_ns - 2e9) * 1e-6
    assert bench.health.clock.offset_ms == pytest.approx(restarted_ms - CLOCK_START_US * 1e-3, abs=1)
    assert bench.health.samples > had + 100
    assert bench.health.lost == lost
    times_ns = np.concatenate([chunk.times_ns for chunk in bench.chunks])
    assert (np.diff(times_ns) >= 0).all()
    assert times_ns[-1] > bench.now_ns - 200_000_000


def test_a_silent_board_is_given_up_with_a_hint():
    session = new_session()
    assert session.outgoing(0)
    assert session.outgoing(400_000_000) == b""
    assert session.outgoing(600_000_000)
    with pytest.raises(SensorError, match="does not answer") as caught:
        session.outgoing(4_000_000_000)
    assert "baud" in caught.value.hint


def test_a_stream_that_dries_up_is_offline_while_the_board_answers():
    bench = Bench()
    bench.run(1)
    assert bench.health.state is SensorState.ONLINE
    bench.sensor_works = False
    bench.run(3)
    assert bench.health.state is SensorState.OFFLINE
    assert "sends no samples" in bench.health.reason


def started() -> tuple[BridgeSession, Connection]:
    """A session that has started DESCRIPTOR's sensor, and the device's side of it."""
    session, device = new_session(), Connection(Role.DEVICE)

    def hear() -> None:
        device.receive_data(session.outgoing(1_000_000_000))
        while device.next_event() is not NEED_DATA:
            pass

    hear()
    session.receive(device.send(Hello("board")), 1_000_000_000)
    session.receive(device.send(ClockReply(1_000_000_000, 0, 0)), 1_000_000_000)
    session.receive(device.send(DESCRIPTOR), 1_000_000_000)
    hear()
    assert device.state is State.STREAMING
    return session, device


def test_the_sample_count_wraps_and_a_count_that_goes_back_is_no_loss():
    session, device = started()
    chunks = []
    for index in (2**32 - 20, 0, 40, 20):
        event = samples(0)
        event = Samples(1, index, event.time_us, 20, event.data, None, event.deltas_us)
        chunks += session.receive(device.send(event), 2_000_000_000)
    assert [chunk.lost for chunk in chunks] == [0, 0, 20, 0]


def test_no_sample_is_from_the_future():
    session, device = started()
    event = Samples(1, 0, 10**15, 1, bytes(12), 0)
    (chunk,) = session.receive(device.send(event), 2_000_000_000)
    assert chunk.times_ns.tolist() == [2_000_000_000]


def test_a_board_that_breaks_the_protocol_is_told_apart_from_noise():
    session, _ = started()
    host = Connection(Role.HOST)
    with pytest.raises(RemoteProtocolError, match="never sends Start"):
        session.receive(start_of(host), 2_000_000_000)


def start_of(host: Connection) -> bytes:
    """A Start, which only a host may send."""
    host.receive_data(Connection(Role.DEVICE).send(Hello("x")))
    host.next_event()
    return host.send(Start())


def test_the_configuration_can_mark_a_whole_board_as_simulated():
    bench = Bench()
    bench.session.simulated = True
    bench.run(1)
    assert {chunk.simulated for chunk in bench.chunks} == {True}
