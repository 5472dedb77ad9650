"""The VL53L1X under the contract of every chip, and what is its own: boot, period, unchecked ranges."""

from __future__ import annotations

import errno
import math

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import vl53l1x
from edge_agent.sensors.i2c.driver import Registers
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.sensors.simulated_chips.vl53l0x import simulated as simulated_vl53l0x
from edge_agent.sensors.simulated_chips.world import steady

STEADY = (2.345, 0.75)


class TestContract(ChipContract):
    chip = "vl53l1x"
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
    """Section 4: 0x010F model id 0xEA, 0x0110 module type 0xCC, 0x0111 mask revision 0x10."""
    bench = Bench("vl53l1x")
    assert Registers(bench.bus, bench.address, index_bytes=2).read(0x010F, 3) == b"\xea\xcc\x10"


def test_the_default_configuration_reaches_to_the_mode_register():
    """UM2510: 91 bytes from 0x2D; sigma threshold 90 mm in 14.2, count rate 1 MCPS in 9.7, whole array."""
    block = vl53l1x.DEFAULT_CONFIGURATION
    assert vl53l1x.CONFIGURATION + len(block) - 1 == vl53l1x.MODE
    assert int.from_bytes(block[0x64 - 0x2D : 0x66 - 0x2D], "big") == 90 * 4
    assert int.from_bytes(block[0x66 - 0x2D : 0x68 - 0x2D], "big") == 1 * 128
    assert block[0x7F - 0x2D : 0x81 - 0x2D] == b"\xc7\xff"
    assert block[0x46 - 0x2D] == 0x20


def test_the_first_range_of_a_start_is_not_checked_for_wrapping_and_not_trusted():
    bench = Bench("vl53l1x", steady(*STEADY))
    driver = started(bench)
    assert driver.read() is None
    assert np.isnan(after_a_period(bench, driver)[0])
    np.testing.assert_allclose(after_a_period(bench, driver), STEADY, atol=0.01)
    assert driver.read() is None


@pytest.mark.parametrize("rate_hz", [0.5, 5.0, 10.0, 20.0, 30.0])
def test_the_period_follows_the_rate_and_the_budget_fits_into_it(rate_hz):
    bench = Bench("vl53l1x", steady(*STEADY))
    driver = started(bench, rate_hz)
    assert driver.rate_hz == pytest.approx(rate_hz)
    assert bench.simulated.period_ns() == pytest.approx(1e9 / rate_hz, rel=0.001)
    assert bench.simulated.ranging_ns() < bench.simulated.period_ns()


@pytest.mark.parametrize(("asked_hz", "given_hz"), [(0.01, 0.1), (100.0, 1000 / 33)])
def test_a_rate_that_it_cannot_keep_becomes_the_nearest(asked_hz, given_hz):
    bench = Bench("vl53l1x", steady(*STEADY))
    driver = bench.chip.make(bench.bus, bench.address, asked_hz, bench.clock.advance)
    assert driver.rate_hz == pytest.approx(given_hz)


@pytest.mark.parametrize("distance_m", [math.nan, 4.5])
def test_no_target_and_one_too_far_have_no_distance(distance_m):
    bench = Bench("vl53l1x", steady(distance_m, 1.5))
    driver = started(bench)
    after_a_period(bench, driver)
    values = after_a_period(bench, driver)
    assert np.isnan(values[0])
    assert values[1] == pytest.approx(1.5, abs=1 / 128)


@pytest.mark.parametrize(("code", "said"), [(1, "continuity"), (2, "watchdog"), (3, "not calibrated")])
def test_a_hardware_fault_is_said_and_the_next_measurement_still_comes(code, said):
    bench = Bench("vl53l1x", steady(*STEADY))
    driver = started(bench)
    bench.simulated.fault = code
    bench.clock.advance(0.1)
    with pytest.raises(SensorError, match=said):
        driver.read()
    bench.simulated.fault = 0
    np.testing.assert_allclose(after_a_period(bench, driver), STEADY, atol=0.01)


def test_it_does_not_acknowledge_while_it_boots():
    bench = Bench("vl53l1x")
    chip = Registers(bench.bus, bench.address, index_bytes=2)
    chip.write(vl53l1x.SOFT_RESET, 0)
    chip.write(vl53l1x.SOFT_RESET, 1)
    assert not bench.bus.answers(bench.address)
    bench.clock.advance(0.0013)
    assert bench.bus.answers(bench.address)
    assert chip.read_u8(vl53l1x.SYSTEM_STATUS) & 1


def test_an_interrupt_that_is_active_low_reads_the_other_way_round():
    """UM2510: bit 4 of 0x30 chooses the polarity; the driver leaves it high."""
    bench = Bench("vl53l1x", steady(*STEADY))
    started(bench)
    bench.clock.advance(0.1)
    chip = Registers(bench.bus, bench.address, index_bytes=2)
    assert chip.read_u8(vl53l1x.INTERRUPT_LEVEL) & 1
    chip.update(0x30, 0x10, 0x10)
    assert not chip.read_u8(vl53l1x.INTERRUPT_LEVEL) & 1


def test_a_vl53l0x_is_told_apart_without_writing_to_it():
    bench = Bench("vl53l1x")
    other = simulated_vl53l0x(bench.clock)
    bench.adapter.chips[bench.address] = other
    before = dict(other.registers)
    assert not bench.chip.identify(bench.bus, bench.address)
    with pytest.raises(SensorError, match="no VL53L1X: it is a VL53L0X"):
        started(bench)
    assert other.registers == before


def test_another_chip_with_wide_indices_is_named_by_its_identity():
    bench = Bench("vl53l1x")

    class Relative(RegisterChip):
        index_bytes = 2

    bench.adapter.chips[bench.address] = Relative(bench.clock.monotonic_ns, {0x10F: 0xEB, 0x110: 0xAA})
    assert not bench.chip.identify(bench.bus, bench.address)
    with pytest.raises(SensorError, match="0xebaa") as caught:
        started(bench)
    assert "probe" in caught.value.hint


def test_a_chip_that_is_gone_is_not_recognised():
    bench = Bench("vl53l1x")
    bench.adapter.fail_next = [errno.EREMOTEIO] * 3
    assert not bench.chip.identify(bench.bus, bench.address)


def test_the_detectors_voltage_is_calibrated_once_before_it_ranges():
    """VL53L1X_SensorInit (STSW-IMG009): a first measurement, then 0x09 to 0x0008 and 0 to 0x000B."""
    bench = Bench("vl53l1x", steady(*STEADY))
    seen = []

    class Watching(SimulatedAdapter):
        def i2c_rdwr(self, *messages):
            seen.extend(bytes(message) for message in messages if not message.flags & 1)
            super().i2c_rdwr(*messages)

    bench.bus._open_adapter = Watching(bench.adapter.chips).open
    started(bench)
    written = [data.hex() for data in seen if data[:2] in (b"\x00\x08", b"\x00\x0b", b"\x00\x87")]
    assert written == ["008740", "008700", "000809", "000b00", "008740"]
