"""What every chip promises: its driver on its simulated chip, through the real bus and the real sensor.

A test module inherits `ChipContract` under a name that begins with Test, names the chip, and says what a
steady signal must be measured as. The clock is moved by the sensor's own waiting, so nothing takes long.
"""

from __future__ import annotations

import errno
import itertools
import random
import threading
from collections.abc import Mapping

import numpy as np
import pytest

from edge_agent.clock import ManualClock
from edge_agent.manifest import Modality
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.sensor import I2CSensor
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState

RECOVERS_WITHIN_S = 5.0


class Bench:
    """One chip on a bus, on a clock of its own, with a sensor that reads it."""

    def __init__(self, name: str, signal=None, *, other=None) -> None:
        self.clock = ManualClock(start_ns=1_000_000_000)
        self.chip = chips.chip(name)
        self.address = self.chip.addresses[0]
        self.simulated = other or chips.simulated(name)(self.clock, signal, 0)
        self.adapter = SimulatedAdapter({self.address: self.simulated})
        self.bus = I2CBus("/dev/i2c-9", self.adapter.open, pause=self.clock.advance)
        self.sensor = I2CSensor(
            "chip", "",
            lambda wait: self.chip.make(self.bus, self.address, None, wait),
            self.clock, simulated=True, rng=random.Random(1),
        )  # fmt: skip
        self.stop = threading.Event()
        self.chunks = self.sensor.chunks(self.stop)

    def take(self, count: int):
        return list(itertools.islice(self.chunks, count))

    def take_for(self, seconds: float):
        """Chunks until the clock has moved on so far."""
        end_ns = self.clock.monotonic_ns() + round(seconds * 1e9)
        taken = []
        while self.clock.monotonic_ns() < end_ns:
            taken.append(next(self.chunks))
        return taken


class ChipContract(SensorContract):
    chip = ""
    steady: tuple[float, ...] = ()
    """What the simulated chip is made to measure, one value for each of the driver's channels."""
    tolerance: float | tuple[float, ...] = 0.0
    """How far from it a measured value may be: the chip's resolution and noise."""
    simulated = True

    @pytest.fixture(autouse=True)
    def _widths(self, bench):
        assert len(self.steady) == len(self.driver(bench).channels)
        self.channels: Mapping[str, int] = {"chip": len(self.steady)}

    @pytest.fixture
    def bench(self):
        bench = Bench(self.chip, steady(*self.steady))
        yield bench
        bench.stop.set()
        bench.chunks.close()

    @pytest.fixture
    def sensor(self, bench):
        return bench.sensor

    def driver(self, bench):
        return bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)

    def test_it_is_registered_and_described(self, bench):
        assert self.chip in chips.NAMES
        assert bench.chip.name == self.chip
        assert bench.chip.description
        assert bench.chip.modality in (*Modality.__args__, "environment")
        assert len({channel.name for channel in self.driver(bench).channels}) == len(self.steady)

    def test_it_measures_what_is_there(self, bench):
        values = np.concatenate([chunk.values for chunk in bench.take(8)])[1:]
        assert values.shape[1] == len(self.steady)
        off = np.abs(np.nanmean(values, axis=0) - np.array(self.steady))
        assert (off <= np.array(self.tolerance)).all(), off

    def test_its_rate_is_what_it_says(self, bench):
        bench.take(3)
        rate_hz = self.driver(bench).rate_hz
        chunks = bench.take_for(max(3.0, 12 / rate_hz))
        times_ns = np.concatenate([chunk.times_ns for chunk in chunks])
        assert (len(times_ns) - 1) / ((times_ns[-1] - times_ns[0]) * 1e-9) == pytest.approx(rate_hz, rel=0.1)
        assert bench.sensor.health.lost == 0
        assert bench.sensor.health.errors == 0

    def test_it_is_recognised_where_it_is_and_only_there(self, bench):
        assert bench.chip.identify(bench.bus, bench.address)
        assert not bench.chip.identify(bench.bus, 0x33 if bench.address != 0x33 else 0x34)
        assert bench.bus.scan() == [bench.address]

    def test_another_chip_at_its_address_is_refused_by_name(self):
        bench = Bench(
            self.chip, other=RegisterChip(ManualClock().monotonic_ns, dict.fromkeys(range(256), 0xA5))
        )
        threading.Thread(target=lambda: next(bench.chunks, None), daemon=True).start()
        waited = threading.Event()
        for _ in range(500):
            if bench.sensor.health.reason not in ("not started", ""):
                break
            waited.wait(0.01)
        bench.stop.set()
        assert bench.sensor.health.state is SensorState.OFFLINE
        assert bench.sensor.health.errors > 0
        assert f"0x{bench.address:02x} " in bench.sensor.health.reason
        assert "is no " in bench.sensor.health.reason or "another chip" in bench.sensor.health.reason
        assert not bench.chip.identify(bench.bus, bench.address)

    def test_a_flaky_wire_costs_nothing(self, bench):
        bench.take(3)
        for number in (errno.EREMOTEIO, errno.EIO, errno.EAGAIN):
            bench.adapter.fail_next = [number, number]
            bench.take(2)
        assert bench.bus.counters.retries == 6
        assert bench.sensor.health.errors == 0
        assert bench.sensor.health.state is SensorState.ONLINE

    def test_unplugged_and_plugged_in_again(self, bench):
        bench.take(3)
        del bench.adapter.chips[bench.address]
        state_ns = []

        def watch(seconds: float) -> None:
            if bench.sensor.health.state is SensorState.OFFLINE and not state_ns:
                state_ns.append(bench.clock.monotonic_ns())
                bench.adapter.chips[bench.address] = chips.simulated(self.chip)(
                    bench.clock, steady(*self.steady), 0
                )
            bench.clock.advance(seconds)

        bench.bus._pause = watch  # the only thing that still happens on a bus without chips
        chunk = bench.take(1)[0]
        assert state_ns, "it was never offline"
        rate_hz = self.driver(bench).rate_hz
        assert chunk.times_ns[-1] - state_ns[0] < (RECOVERS_WITHIN_S + 2 / rate_hz) * 1e9
        assert bench.sensor.health.state is SensorState.ONLINE
        assert bench.sensor.health.reconnects == 1

    def test_a_stuck_bus_is_named(self, bench):
        bench.take(3)
        bench.adapter.stuck = True
        thread = threading.Thread(target=lambda: next(bench.chunks, None), daemon=True)
        thread.start()
        waited = threading.Event()
        for _ in range(500):
            if "stuck" in bench.sensor.health.reason:
                break
            waited.wait(0.01)
        reason = bench.sensor.health.reason
        bench.stop.set()
        thread.join(5)
        assert "stuck" in reason
