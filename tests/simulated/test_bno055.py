"""The BNO055 under the contract of every chip, and what is its own: modes, boot, calibration, orientation."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import bno055
from edge_agent.sensors.simulated_chips.chip import NackError
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

STILL = (0.1, -0.2, 9.81, 0.01, -0.02, 0.5, 0.5, -0.5, 0.5, -0.5)


class TestContract(ChipContract):
    chip = "bno055"
    steady = STILL
    tolerance = (0.006,) * 3 + (0.001,) * 3 + (1e-4,) * 4


@pytest.fixture
def bench():
    return Bench("bno055", steady(*STILL))


@pytest.fixture
def driver(bench):
    return bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)


def test_the_representations_of_the_data_sheet():
    """1 m/s2 = 100 LSB, 1 rad/s = 900 LSB, 1 of a quaternion = 2**14 LSB: tables 3-17, 3-22 and 3-31."""
    bench = Bench("bno055", steady(1, -1, 0, 1, 0, -1, 1, 0, -1, 0.5))
    bench.take(2)
    data = np.frombuffer(bench.bus.write_read(bench.address, b"\x08", 32), "<i2").tolist()
    assert data[:3] == [100, -100, 0]
    assert data[6:9] == [900, 0, -900]
    assert data[12:] == [16384, 0, -16384, 8192]


def test_the_accelerometer_ends_at_four_g():
    bench = Bench("bno055", steady(60, -60, 0, *STILL[3:]))
    np.testing.assert_allclose(bench.take(2)[1].values[0, :3], [39.23, -39.23, 0], atol=0.01)


def test_orientation_is_unknown_while_the_fusion_is_not_calibrated(bench):
    bench.take(1)
    bench.simulated.calibration = 0x3F
    values = np.concatenate([chunk.values for chunk in bench.take(2 * bno055.STATUS_EVERY)])
    np.testing.assert_allclose(values[-1, :6], STILL[:6], atol=0.006)
    assert np.isnan(values[-1, 6:]).all()
    bench.simulated.calibration = 0x7F
    values = np.concatenate([chunk.values for chunk in bench.take(2 * bno055.STATUS_EVERY)])
    np.testing.assert_allclose(values[-1, 6:], STILL[6:], atol=1e-4)
    assert bench.sensor.health.errors == 0


def test_it_is_deaf_while_it_boots_and_the_driver_waits_so_long(bench, driver):
    bench.simulated.write(b"\x3f\x20")
    with pytest.raises(NackError):
        bench.simulated.read(1)
    bench.clock.advance(0.649)
    with pytest.raises(NackError):
        bench.simulated.write(b"\x00")
    bench.clock.advance(0.002)
    began_ns = bench.clock.monotonic_ns()
    driver.start()
    assert driver.read() is not None
    assert bench.clock.monotonic_ns() - began_ns < 0.8e9
    assert bench.bus.counters.retries == 0


def test_units_are_not_taken_while_the_fusion_runs(bench, driver):
    driver.start()
    before = driver.read().values
    bench.bus.write(bench.address, b"\x3b\x01")
    bench.clock.advance(0.02)
    np.testing.assert_array_equal(driver.read().values, before)


def test_nothing_is_new_until_the_fusion_has_computed(bench, driver):
    driver.start()
    bench.bus.write(bench.address, b"\x3d\x00")
    assert driver.read() is None
    bench.clock.advance(0.02)
    bench.bus.write(bench.address, b"\x3d\x0c")
    bench.clock.advance(0.008)
    assert driver.read() is None
    bench.clock.advance(0.010)
    np.testing.assert_allclose(driver.read().values[0], STILL, atol=0.006)


def test_what_the_fusion_left_behind_is_not_read_again(bench, driver):
    driver.start()
    for _ in range(bno055.STATUS_EVERY):
        assert driver.read() is not None
    bench.bus.write(bench.address, b"\x3d\x00")
    assert driver.read() is None


def test_a_chip_that_fell_back_to_configuration_is_started_anew(bench):
    bench.take(30)
    bench.bus.write(bench.address, b"\x3f\x20")
    bench.clock.advance(0.66)
    bench.take(2 * bno055.STATUS_EVERY)
    assert bench.sensor.health.reconnects == 1
    assert bench.sensor.health.state is SensorState.ONLINE
    assert bench.simulated.registers[bno055.OPR_MODE] == bno055.NDOF


def test_a_system_error_is_named(bench, driver):
    driver.start()
    for _ in range(bno055.STATUS_EVERY):
        driver.read()
    bench.simulated.error = 9
    with pytest.raises(SensorError, match="system error 9"):
        driver.read()


def test_a_failed_self_test_is_named(bench, driver):
    bench.simulated.self_test = 0b0101
    with pytest.raises(SensorError, match="magnetometer, microcontroller"):
        driver.start()


def test_it_starts_whatever_page_was_left_selected(bench):
    bench.bus.write(bench.address, b"\x07\x01")
    assert not bench.chip.identify(bench.bus, bench.address)
    bench.take(1)
    assert bench.sensor.health.errors == 0


def test_another_chip_is_refused(bench, driver):
    bench.simulated.registers[bno055.CHIP_ID] = 0xEA
    with pytest.raises(SensorError, match="no BNO055: its identity is 0xea"):
        driver.start()


@pytest.mark.parametrize(("wanted_hz", "rate_hz"), [(None, 100), (20, 20), (400, 100)])
def test_it_is_polled_no_faster_than_it_computes(bench, wanted_hz, rate_hz):
    driver = bench.chip.make(bench.bus, bench.address, wanted_hz, bench.clock.advance)
    assert driver.rate_hz == rate_hz
    assert driver.poll_s == pytest.approx(1 / rate_hz)


def test_without_a_signal_somebody_walks_upright():
    """The quaternion turns the acceleration of gravity to where up is."""
    bench = Bench("bno055")
    values = np.concatenate([chunk.values for chunk in bench.take(300)])
    quaternion = values[:, 6:]
    np.testing.assert_allclose(np.linalg.norm(quaternion, axis=1), 1, atol=1e-3)
    w, axis, acc = quaternion[:, :1], quaternion[:, 1:], values[:, :3]
    doubled = 2 * np.cross(axis, acc)
    turned = acc + w * doubled + np.cross(axis, doubled)
    np.testing.assert_allclose(turned.mean(axis=0), [0, 0, 9.8], atol=1.0)
    assert (values[:, :6].std(axis=0) > 0.3).all()
