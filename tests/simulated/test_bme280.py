"""The BME280 under the contract of every chip, and what is its own: the compensation."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st
from recorded_room import recorded_room

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import bme280
from edge_agent.sensors.i2c.bme280 import Calibration
from edge_agent.sensors.simulated_chips import bme280 as simulated
from edge_agent.sensors.simulated_chips.world import steady

AIR = (21.5, 45.0, 100_800.0)


class TestContract(ChipContract):
    chip = "bme280"
    steady = AIR
    tolerance = (0.01, 0.05, 1.0)


@pytest.fixture
def bench():
    bench = Bench("bme280", steady(*AIR))
    yield bench
    bench.stop.set()


@pytest.fixture
def driver(bench):
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    driver.start()
    return driver


def registers(first, count):
    return bytes(simulated.AFTER_RESET[register] for register in range(first, first + count))


CALIBRATION = Calibration.of(registers(0x88, 26), registers(0xE1, 7))


def test_the_worked_example_of_the_data_sheet():
    """BST-BMP280-DS001 3.12, whose formulas for temperature and pressure are the BME280's."""
    fine = bme280.fine_temperature(CALIBRATION, 519888)
    assert fine == pytest.approx(128422.3, abs=1)
    assert fine / 5120 == pytest.approx(25.08, abs=0.005)
    assert bme280.pressure_pa(CALIBRATION, 415148, fine) == pytest.approx(100653.27, abs=0.1)


def test_the_simulated_chip_agrees_with_the_same_example():
    assert simulated.t_fine(519888) == pytest.approx(128422, abs=10)
    assert simulated.pressure_256(415148, 128422) / 256 == pytest.approx(100653.27, abs=0.5)


def test_the_parameters_that_share_a_byte_and_have_a_sign():
    assert CALIBRATION.h == (75, 362, 0, 315, 50, 30)
    high = bytes((0x00, 0x00, 0x00, 0xFF, 0x2E, 0xFF, 0x80))
    assert Calibration.of(bytes(26), high).h[3:] == (-2, -14, -128)


@given(st.floats(-20, 60), st.floats(5, 95), st.floats(40_000, 108_000))
def test_fixed_point_and_floating_point_agree_wherever_people_live(temperature_c, humidity, pressure_pa):
    got = bme280.compensated(CALIBRATION, simulated.raw_data(temperature_c, humidity, pressure_pa))
    assert got[0] == pytest.approx(temperature_c, abs=0.01)
    assert got[1] == pytest.approx(humidity, abs=0.1)
    assert got[2] == pytest.approx(pressure_pa, abs=3)


def test_what_was_not_measured_is_nan():
    data = bytearray(simulated.raw_data(*AIR))
    data[6:8] = b"\x80\x00"
    assert np.isnan(bme280.compensated(CALIBRATION, bytes(data))).tolist() == [False, True, False]
    data[0:3] = b"\x80\x00\x00"
    assert np.isnan(bme280.compensated(CALIBRATION, bytes(data))).tolist() == [False, True, True]
    assert np.isnan(bme280.compensated(CALIBRATION, simulated.SKIPPED)).all()
    assert np.isnan(bme280.pressure_pa(Calibration((0,) * 3, (0,) * 9, (0,) * 6), 415148, 0.0))


def test_a_measurement_that_is_not_ready_is_no_reading(bench):
    hasty = bench.chip.make(bench.bus, bench.address, None, lambda s: bench.clock.advance(min(s, 0.005)))
    hasty.start()
    assert hasty.read() is None
    assert bench.bus.write_read(bench.address, bytes((bme280.STATUS,)), 1) == bytes((bme280.MEASURING,))
    bench.clock.advance(0.01)
    assert bench.bus.write_read(bench.address, bytes((bme280.STATUS,)), 1) == b"\0"


def test_it_is_not_heard_while_it_resets(bench):
    bench.bus.write(bench.address, bytes((bme280.RESET, bme280.RESET_KEY)))
    assert not bench.bus.answers(bench.address)
    bench.clock.advance(0.003)
    assert bench.bus.answers(bench.address)


def test_after_a_failure_of_the_supply_the_next_sample_is_whole(bench, driver):
    assert driver.read() is not None
    bench.simulated.stored(bme280.RESET, bme280.RESET_KEY)
    bench.clock.advance(1)
    np.testing.assert_allclose(driver.read().values, [AIR], atol=1)


def test_a_chip_that_never_loads_its_calibration_says_so(bench, driver):
    bench.simulated.loading_fails = True
    with pytest.raises(SensorError, match="calibration"):
        driver.start()


def test_a_bmp280_is_refused_by_its_identity(bench, driver):
    bench.simulated.registers[bme280.ID] = 0x58
    assert not bench.chip.identify(bench.bus, bench.address)
    with pytest.raises(SensorError, match="0x58"):
        driver.start()


def test_a_rate_is_kept_within_what_a_measurement_takes(bench):
    for asked, given_hz in ((None, 1.0), (0.1, 0.1), (10.0, 10.0), (1000.0, 50.0)):
        assert bench.chip.make(bench.bus, bench.address, asked, bench.clock.advance).rate_hz == given_hz


def test_it_measures_a_real_room():
    room = recorded_room("temperature", "humidity")
    bench = Bench("bme280", lambda seconds: np.append(room(seconds), np.float32(101_325)))
    chunks = bench.take(60)
    values = np.concatenate([chunk.values for chunk in chunks])
    true = np.array([room((chunk.times_ns[0] - 1_000_000_000) * 1e-9 - 0.002) for chunk in chunks])
    np.testing.assert_allclose(values[:, 0], true[:, 0], atol=0.01)
    np.testing.assert_allclose(values[:, 1], true[:, 1], atol=0.1)
