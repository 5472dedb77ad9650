"""What every device behind the bridge must do, whatever it is made of: one suite for all of them.

A subclass provides the fixture `device`: an object with `write(bytes)` and `read() -> bytes` (what came
within a moment, perhaps nothing), whose sensor "imu" streams six channels at about 100 Hz.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Protocol

import pytest

from firmware_bridge import (
    NEED_DATA,
    ClockReply,
    ClockRequest,
    Connection,
    Describe,
    Event,
    Hello,
    Role,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)
from firmware_bridge.framing import encode_frame

PATIENCE_S = 10.0


class Line(Protocol):
    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes: ...


class Host:
    """The simplest host: sends one event, waits for one."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.connection = Connection(Role.HOST)
        self.events: list[Event] = []
        self.sent = 0

    def send(self, event: Event) -> None:
        self.sent += 1
        self.line.write(self.connection.send(event))

    def listen(self) -> None:
        self.connection.receive_data(self.line.read())
        while (event := self.connection.next_event()) is not NEED_DATA:
            self.events.append(event)

    def wait_for(self, right: Callable[[Event], bool], patience_s: float = PATIENCE_S) -> Event:
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            for at, event in enumerate(self.events):
                if right(event):
                    del self.events[: at + 1]
                    return event
            self.listen()
        raise AssertionError(f"not within {patience_s} s; {self.connection.counters}")

    def wait(self, kind: type[Event]) -> Event:
        return self.wait_for(lambda event: isinstance(event, kind))

    def greet(self) -> Hello:
        """Ask until it answers: a device may lose what came directly behind a broken conversation."""
        for _ in range(10):
            self.send(Hello("contract"))
            with contextlib.suppress(AssertionError):
                hello = self.wait_for(lambda event: isinstance(event, Hello), PATIENCE_S / 10)
                break
        else:
            raise AssertionError("no answer to ten hellos")
        # A board that has just started may have announced itself too.
        self.send(ClockRequest(1))
        self.wait(ClockReply)
        assert isinstance(hello, Hello)
        return hello

    def describe(self) -> dict[str, SensorDescriptor]:
        self.send(Describe())
        found: dict[str, SensorDescriptor] = {}
        while True:
            descriptor = self.wait(SensorDescriptor)
            assert isinstance(descriptor, SensorDescriptor)
            found[descriptor.name] = descriptor
            if len(found) == descriptor.total:
                return found


class BridgeDeviceContract:
    @pytest.fixture
    def host(self, device: Line) -> Host:
        return Host(device)

    def test_it_says_who_it_is(self, host: Host):
        hello = host.greet()
        assert hello.name
        assert hello.version == 1

    def test_it_answers_a_second_hello(self, host: Host):
        assert host.greet() == host.greet()

    def test_it_describes_its_sensors(self, host: Host):
        host.greet()
        descriptor = host.describe()["imu"]
        assert descriptor.modality == "imu"
        assert len(descriptor.channels) == 6
        assert all(channel.scale > 0 and channel.unit for channel in descriptor.channels)

    def test_its_clock_moves_on(self, host: Host):
        host.greet()
        replies = []
        for t1 in (11, 22, 33):
            host.send(ClockRequest(t1))
            replies.append(host.wait(ClockReply))
        assert [reply.sent_ns for reply in replies] == [11, 22, 33]
        times_us = [t for reply in replies for t in (reply.received_us, reply.replied_us)]
        assert times_us == sorted(times_us)

    def test_it_streams_when_asked_without_holes(self, host: Host):
        host.greet()
        descriptor = host.describe()["imu"]
        host.send(Start())
        got: list[Samples] = []
        while sum(s.count for s in got) < 100:
            event = host.wait_for(lambda e: isinstance(e, Samples) and e.sensor_id == descriptor.sensor_id)
            assert isinstance(event, Samples)
            got.append(event)
        assert got[0].first_index == 0
        for before, after in itertools.pairwise(got):
            assert after.first_index == before.first_index + before.count
        times_us = [t for samples in got for t in samples.times_us()]
        assert times_us == sorted(times_us)
        assert (times_us[-1] - times_us[0]) / (len(times_us) - 1) == pytest.approx(
            1e6 / descriptor.rate_hz, rel=0.2
        )

    def test_it_stops_and_starts_again_from_zero(self, host: Host):
        host.greet()
        host.describe()
        host.send(Start())
        host.wait(Samples)
        host.send(Stop())
        host.send(ClockRequest(5))
        host.wait(ClockReply)
        host.events.clear()
        host.listen()
        assert not any(isinstance(event, Samples) for event in host.events)
        host.send(Start())
        samples = host.wait(Samples)
        assert isinstance(samples, Samples)
        assert samples.first_index == 0

    def test_it_survives_noise_and_what_it_does_not_know(self, host: Host):
        host.greet()
        host.line.write(b"\x13\x37" * 50 + b"\0\x01\0\xff\0" + encode_frame(b"\x7f\x00what") + b"\x55" * 6000)
        host.line.write(b"\0")
        host.send(ClockRequest(77))
        reply = host.wait(ClockReply)
        assert isinstance(reply, ClockReply)
        assert reply.sent_ns == 77

    def test_it_recovers_from_a_host_that_breaks_the_protocol(self, host: Host):
        host.greet()
        host.line.write(encode_frame(b"\x0a\x00\x02a device's log"))  # a host never sends a log
        assert host.greet().name
        assert host.describe()["imu"]
