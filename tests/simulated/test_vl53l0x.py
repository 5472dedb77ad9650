"""The VL53L0X under the contract of every chip, and what is its own: set-up, invalid ranges, faults."""

from __future__ import annotations

import math

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import vl53l0x
from edge_agent.sensors.i2c.driver import Registers
from edge_agent.sensors.simulated_chips import vl53l0x as simulated
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

STEADY = (0.345, 12.5)


class TestContract(ChipContract):
    chip = "vl53l0x"
    steady = STEADY
    tolerance = (0.0005, 1 / 128)


def started(bench, rate_hz=None):
    driver = bench.chip.make(bench.bus, bench.address, rate_hz, bench.clock.advance)
    driver.start()
    return driver


def after_a_period(bench, driver):
    bench.clock.advance(1.1 / driver.rate_hz)
    reading = driver.read()
    assert reading is not None
    return reading.values[0]


def test_the_reference_registers_of_the_data_sheet():
    """3.2: 0xC0 0xEE, 0xC1 0xAA, 0xC2 0x10, 0x51 0x0099, 0x61 0x0000."""
    bench = Bench("vl53l0x")
    chip = Registers(bench.bus, bench.address)
    assert chip.read(0xC0, 3) == b"\xee\xaa\x10"
    assert chip.read(0x51, 2) == b"\x00\x99"
    assert chip.read(0x61, 2) == b"\x00\x00"


def test_nothing_is_new_before_a_measurement_is_done_nor_twice():
    bench = Bench("vl53l0x", steady(*STEADY))
    driver = started(bench)
    assert driver.read() is None
    after_a_period(bench, driver)
    assert driver.read() is None


@pytest.mark.parametrize("rate_hz", [5.0, 20.0, 30.0, 50.0])
def test_the_timing_budget_follows_the_rate(rate_hz):
    bench = Bench("vl53l0x", steady(*STEADY))
    driver = started(bench, rate_hz)
    assert driver.rate_hz == pytest.approx(rate_hz)
    assert bench.simulated.period_ns() == pytest.approx(1e9 / rate_hz, rel=0.02)


@pytest.mark.parametrize(("asked_hz", "given_hz"), [(1.0, 5.0), (400.0, 50.0)])
def test_a_rate_that_it_cannot_keep_becomes_the_nearest(asked_hz, given_hz):
    bench = Bench("vl53l0x", steady(*STEADY))
    assert bench.chip.make(bench.bus, bench.address, asked_hz, bench.clock.advance).rate_hz == given_hz


@pytest.mark.parametrize("seen", [(math.nan, 3.0), (2.4, 3.0), (0.5, 0.1)])
def test_no_target_one_too_far_and_one_too_weak_have_no_distance(seen):
    bench = Bench("vl53l0x", steady(*seen))
    values = after_a_period(bench, started(bench))
    assert np.isnan(values[0])
    assert values[1] == pytest.approx(seen[1], abs=1 / 128)


@pytest.mark.parametrize(("code", "said"), [(1, "continuity"), (2, "watchdog"), (3, "not calibrated")])
def test_a_hardware_fault_is_said_and_the_next_measurement_still_comes(code, said):
    bench = Bench("vl53l0x", steady(*STEADY))
    driver = started(bench)
    bench.simulated.fault = code
    bench.clock.advance(0.05)
    with pytest.raises(SensorError, match=said):
        driver.read()
    bench.simulated.fault = 0
    np.testing.assert_allclose(after_a_period(bench, driver), STEADY, atol=0.01)


def test_a_fault_that_stays_takes_the_sensor_down_and_one_that_ends_lets_it_up_again():
    states = []

    def signal(_seconds):
        if bench.sensor.health.errors:
            states.append(bench.sensor.health.state)
        if SensorState.OFFLINE in states:
            bench.simulated.fault = 0
        return np.array(STEADY, np.float32)

    bench = Bench("vl53l0x", signal)
    bench.take(3)
    bench.simulated.fault = 2
    bench.take(2)
    assert SensorState.OFFLINE in states
    assert bench.sensor.health.errors >= 3
    assert bench.sensor.health.reconnects == 1


def test_without_its_calibrations_it_does_not_range():
    bench = Bench("vl53l0x", steady(*STEADY))
    chip = Registers(bench.bus, bench.address)
    chip.write(vl53l0x.INTERRUPT_CONFIG, vl53l0x.NEW_SAMPLE_READY)
    chip.write(vl53l0x.START, vl53l0x.BACK_TO_BACK)
    bench.clock.advance(1.0)
    assert chip.read_u8(vl53l0x.INTERRUPT_STATUS) == vl53l0x.NEW_SAMPLE_READY
    assert chip.read_u8(0x14) >> 3 == 3


def test_the_spads_are_the_first_five_good_ones_with_an_aperture():
    bench = Bench("vl53l0x", steady(*STEADY))
    started(bench)
    chosen = Registers(bench.bus, bench.address).read(vl53l0x.REF_SPADS, 6)
    good = int.from_bytes(simulated.GOOD_SPADS, "little")
    picked = int.from_bytes(chosen, "little")
    assert picked & ~good == 0
    assert picked.bit_count() == 5
    assert picked & 0xFFF == 0
    assert good & ~picked & ((1 << picked.bit_length()) - 1) & ~0xFFF == 0


def test_it_answers_nothing_while_it_boots():
    bench = Bench("vl53l0x")
    chip = Registers(bench.bus, bench.address)
    chip.write(vl53l0x.SOFT_RESET, 0)
    assert chip.read_u8(0xC0) == 0
    chip.write(vl53l0x.SOFT_RESET, 1)
    assert not bench.chip.identify(bench.bus, bench.address)
    bench.clock.advance(0.002)
    assert bench.chip.identify(bench.bus, bench.address)


def test_a_chip_that_never_boots_is_given_up():
    class Dead(simulated.SimulatedVl53l0x):
        def _reset(self, *, held):
            super()._reset(held=True)

    bench = Bench("vl53l0x")
    bench.adapter.chips[bench.address] = Dead(bench.clock, steady(*STEADY))
    with pytest.raises(SensorError, match="boot"):
        started(bench)


@given(st.integers(1, 0xFF << 8))
def test_a_timeout_is_never_longer_than_asked_and_hardly_shorter(macros):
    exponent, mantissa = vl53l0x.encode_timeout(macros)
    decoded = (mantissa << exponent) + 1
    assert decoded <= macros
    assert macros - decoded <= macros / 128


def test_a_timeout_of_the_default_settings():
    """vl53l0x_tuning.h sets FINAL_RANGE_CONFIG_TIMEOUT_MACROP to 0x01FE, which is 509 macro periods."""
    assert vl53l0x.encode_timeout(509) == b"\x01\xfe"
