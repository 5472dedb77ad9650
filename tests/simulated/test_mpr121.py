"""The MPR121 under the contract of every chip, and what is its own: configuration, baseline and faults."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import chips, mpr121
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

TOUCHED = (40.0, 0, 0, 120, 0, 0, 0, 0, 60, 0, 0, 25)
SHOWN = 4
"""Counts: the chip shows the baseline without its last two bits."""


class TestContract(ChipContract):
    chip = "mpr121"
    steady = TOUCHED
    tolerance = SHOWN


@pytest.fixture
def hand():
    """Counts on each electrode; a test changes them."""
    return np.zeros(12, np.float32)


@pytest.fixture
def bench(hand):
    bench = Bench("mpr121", lambda _seconds: hand)
    yield bench
    bench.stop.set()


@pytest.fixture
def driver(bench):
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    driver.start()
    bench.clock.advance(0.05)
    return driver


def test_the_data_of_the_data_sheet():
    """Rev. 2, tables 29 and 30: data is high * 256 + low, the baseline is its byte * 4."""
    data = bytearray(42)
    data[0x04:0x06] = bytes((0x2C, 0x02))
    data[0x1E] = 0x96
    data[0x02:0x04] = bytes((0x02, 0x08))
    got = mpr121.differences(bytes(data))
    assert got[0] == 0x96 * 4 - (2 * 256 + 0x2C) == 44
    assert np.flatnonzero(np.isnan(got)).tolist() == [1, 11]


def test_the_limits_of_the_data_sheet():
    """Equations 1 to 3 at 3.3 V."""
    by_hand = pytest.approx((201.7, 131.1, 181.5), abs=2)
    assert by_hand == (mpr121.UPPER, mpr121.LOWER, mpr121.TARGET)


def test_auto_configuration_brings_every_electrode_near_the_target(bench, driver):
    data = bench.bus.write_read(bench.address, b"\x04", 24)
    levels = np.frombuffer(data, "<u2")
    assert np.abs(levels / 4 - mpr121.TARGET).max() < 5
    assert 8 < np.ptp(bench.simulated.capacitance_pf) < 12


def test_nothing_is_there_before_the_first_data(bench):
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    driver.start()
    assert driver.read() is None
    bench.clock.advance(0.032)
    assert driver.read() is not None


def test_a_touch_stays_and_a_slow_drift_is_forgotten(bench, driver, hand):
    hand[2], hand[5] = 50, 0
    for _ in range(100):
        bench.clock.advance(0.5)
        hand[5] += 0.5
        values = driver.read().values[0]
    assert values[2] == pytest.approx(50, abs=SHOWN)
    assert hand[5] == 50
    assert values[5] < 15
    hand[:] = 0
    bench.clock.advance(5)
    assert np.abs(driver.read().values).max() <= SHOWN


def test_an_electrode_that_cannot_be_configured_is_nan(bench):
    bench.simulated.capacitance_pf[3] = 5000
    bench.simulated.capacitance_pf[9] = 0.01
    values = bench.take(3)[-1].values[0]
    assert np.flatnonzero(np.isnan(values)).tolist() == [3, 9]
    assert bench.sensor.health.state is SensorState.ONLINE


def test_an_over_current_is_named_and_when_it_is_gone_the_chip_runs_again(bench, driver):
    bench.simulated.over_current = True
    with pytest.raises(SensorError, match="over-current") as caught:
        driver.read()
    assert "REXT" in caught.value.hint
    bench.simulated.over_current = False
    with pytest.raises(SensorError, match="over-current"):
        driver.read()
    driver.start()
    bench.clock.advance(0.05)
    assert np.abs(driver.read().values).max() <= SHOWN


def test_while_the_flag_stands_the_chip_does_not_run(bench, driver):
    bench.simulated.over_current = True
    bench.bus.write_read(bench.address, b"\x00", 2)
    bench.simulated.over_current = False
    for written, runs in ((b"\x5e\xcc", False), (b"\x01\x80", False), (b"\x5e\xcc", True)):
        bench.bus.write(bench.address, written)
        assert bench.bus.write_read(bench.address, b"\x5e", 1) == (b"\xcc" if runs else b"\xc0")


def test_settings_are_not_taken_while_it_runs(bench, driver):
    bench.bus.write(bench.address, b"\x41\x63")
    assert bench.bus.write_read(bench.address, b"\x41", 1) == bytes((mpr121.TOUCH,))


def test_a_chip_that_reset_itself_is_started_again(bench):
    bench.take(3)
    bench.bus.write(bench.address, bytes((mpr121.SOFT_RESET, mpr121.RESET_KEY)))
    bench.take(2)
    assert bench.sensor.health.reconnects == 1


def test_the_chip_filters_at_least_as_often_as_it_is_read(bench):
    for asked, rate_hz, interval in ((None, 20, 3), (1, 1, 7), (30, 30, 3), (60, 60, 2), (1000, 100, 1)):
        driver = bench.chip.make(bench.bus, bench.address, asked, bench.clock.advance)
        driver.start()
        assert driver.rate_hz == rate_hz
        assert bench.simulated.registers[mpr121.CONFIG_2] & 7 == interval
        assert 4 * 2**interval * 1e-3 <= driver.poll_s


@pytest.mark.parametrize(
    "registers", [{}, {0x0F: 0xB1, 0x5C: 1, 0x5D: 0x20}, dict.fromkeys(range(256), 0xFF)]
)
def test_chips_with_other_registers_are_not_claimed(bench, registers):
    bench.adapter.chips[bench.address] = RegisterChip(bench.clock.monotonic_ns, registers)
    assert not bench.chip.identify(bench.bus, bench.address)
    with pytest.raises(SensorError, match="no MPR121"):
        bench.chip.make(bench.bus, bench.address, None, bench.clock.advance).start()


def test_a_bh1750_at_the_same_address_is_neither_claimed_nor_disturbed(bench):
    light = chips.simulated("bh1750")(bench.clock, steady(320.0), 0)
    bus = I2CBus("x", SimulatedAdapter({0x5C: light}).open)
    bus.write(0x5C, b"\x10")
    before = dict(vars(light))
    assert not bench.chip.identify(bus, 0x5C)
    assert vars(light) == before


def test_left_alone_somebody_plays_on_it():
    bench = Bench("mpr121")
    values = np.concatenate([chunk.values for chunk in bench.take_for(20)])
    assert (values.max(axis=0) > 40).all()
    assert (np.abs(np.median(values, axis=0)) <= SHOWN).all()
