"""The BH1750 under the contract of every chip, and what is its own: commands, and no identity."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from recorded_room import recorded_room

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import bh1750, chips
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips import bh1750 as simulated
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.sensors.simulated_chips.world import steady

LIGHT = (320.0,)


class TestContract(ChipContract):
    chip = "bh1750"
    steady = LIGHT
    tolerance = 0.5


@pytest.fixture
def bench():
    bench = Bench("bh1750", steady(*LIGHT))
    yield bench
    bench.stop.set()


@pytest.fixture
def driver(bench):
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    driver.start()
    return driver


def command(bench, *codes):
    for code in codes:
        bench.bus.write(bench.address, bytes((code,)))


def lux(bench):
    return bh1750.illuminance_lx(bench.bus.read(bench.address, 2))


def test_the_worked_example_of_the_data_sheet():
    """Page 10."""
    assert bh1750.illuminance_lx(bytes((0b1000_0011, 0b1001_0000))) == pytest.approx(28067, abs=0.5)


def test_the_simulated_chip_gives_the_same_example():
    bench = Bench("bh1750", steady(28066.7))
    command(bench, simulated.ONE_TIME_H)
    bench.clock.advance(0.12)
    assert bench.bus.read(bench.address, 2) == bytes((0b1000_0011, 0b1001_0000))


def test_a_measurement_takes_its_time_and_the_old_one_stands_until_then(bench):
    command(bench, simulated.ONE_TIME_H)
    bench.clock.advance(0.119)
    assert lux(bench) == 0
    bench.clock.advance(0.001)
    assert lux(bench) == pytest.approx(320)
    assert not bench.simulated.powered


def test_the_data_is_emptied_by_a_reset_but_not_while_it_sleeps(bench, driver):
    driver.read()
    command(bench, simulated.RESET)
    assert lux(bench) == pytest.approx(320)
    command(bench, simulated.POWER_ON, simulated.RESET)
    assert lux(bench) == 0


def test_it_can_be_started_again_when_it_sleeps_with_old_data(bench, driver):
    driver.read()
    driver.start()
    assert driver.read().values == pytest.approx(320)


def test_what_another_program_left_is_put_right(bench):
    command(bench, 0b0100_0100, 0b0110_1010, simulated.CONTINUOUS_H)  # twice the sensitivity: 138
    assert bench.simulated.time == 138
    bench.clock.advance(0.24)
    assert lux(bench) == pytest.approx(640)
    bench.clock.advance(10)
    assert bench.take(1)[0].values == pytest.approx(320)
    assert bench.simulated.time == 69
    assert bench.sensor.health.errors == 0


def test_more_light_than_it_can_count_reads_as_the_most():
    bench = Bench("bh1750", steady(90_000.0))
    assert bench.take(1)[0].values == pytest.approx(65535 / 1.2)


def test_it_is_known_asleep_measuring_and_in_the_dark(bench, driver):
    assert bench.chip.identify(bench.bus, bench.address)
    driver.read()
    assert bench.chip.identify(bench.bus, bench.address)
    command(bench, simulated.POWER_ON, simulated.RESET)
    assert bench.chip.identify(bench.bus, bench.address)


def test_to_be_looked_at_changes_nothing(bench, driver):
    driver.read()
    before = dict(vars(bench.simulated))
    bench.chip.identify(bench.bus, bench.address)
    assert vars(bench.simulated) == before


class Expander:
    """A PCF8574: every byte that is read is the state of its port."""

    def __init__(self, port) -> None:
        self.port = port

    def write(self, data):
        self.port = data[-1] if data else self.port

    def read(self, count):
        return bytes((self.port,)) * count


@pytest.mark.parametrize("port", [0xFF, 0x01, 0x80])
def test_a_port_expander_is_not_claimed(bench, port):
    bench.adapter.chips[bench.address] = Expander(port)
    assert not bench.chip.identify(bench.bus, bench.address)


@pytest.mark.parametrize("pointer", [0, 1, 0x10, 0x5B])
@pytest.mark.parametrize("registers", [{0x00: 0xFF, 0x01: 0xFF}, {0x5C: 0x10, 0x5D: 0x24}, {0x0F: 0xB1}])
def test_a_chip_with_registers_is_not_claimed(bench, pointer, registers):
    """Those of a port expander MCP23017, an MPR121 and an LPS22, as they are after power-on."""
    other = RegisterChip(bench.clock.monotonic_ns, registers)
    other.pointer = pointer
    bench.adapter.chips[bench.address] = other
    assert not bench.chip.identify(bench.bus, bench.address)


ADDRESSES = set(bh1750.CHIP.addresses)
SHARED = [
    (name, address)
    for name in chips.NAMES
    for address in ADDRESSES.intersection(chips.chip(name).addresses)
    if name != "bh1750"
]


@pytest.mark.parametrize(("name", "address"), SHARED)
def test_no_other_chip_of_ours_is_claimed(bench, name, address):
    other = chips.simulated(name)(bench.clock, None, 0)
    bus = I2CBus("x", SimulatedAdapter({address: other}).open, pause=bench.clock.advance)
    assert not bench.chip.identify(bus, address)
    chips.chip(name).make(bus, address, None, bench.clock.advance).start()
    assert not bench.chip.identify(bus, address)
    assert chips.chip(name).identify(bus, address)


def test_a_chip_that_keeps_its_data_over_a_reset_is_refused(bench):
    bench.adapter.chips[bench.address] = Expander(0x5A)
    with pytest.raises(SensorError, match="no BH1750"):
        bench.chip.make(bench.bus, bench.address, None, bench.clock.advance).start()


def test_a_rate_is_kept_within_what_a_measurement_takes(bench):
    for asked, given_hz in ((None, 1.0), (0.1, 0.1), (4.0, 4.0), (100.0, 5.0)):
        assert bench.chip.make(bench.bus, bench.address, asked, bench.clock.advance).rate_hz == given_hz


def test_it_measures_a_real_room():
    room = recorded_room("illuminance")
    bench = Bench("bh1750", room)
    chunks = bench.take(300)
    true = [room((chunk.times_ns[0] - 1_000_000_000) * 1e-9 - 0.06) for chunk in chunks]
    np.testing.assert_allclose(np.concatenate([chunk.values for chunk in chunks]), true, atol=0.5)
