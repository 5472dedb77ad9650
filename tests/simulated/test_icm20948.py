"""The ICM-20948 under the contract of every chip, and what is its own: banks, FIFO, a shared address."""

from __future__ import annotations

import math

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import chips, icm20948
from edge_agent.sensors.simulated_chips import icm20948 as simulated
from edge_agent.sensors.simulated_chips.world import steady

STILL = (0.1, -0.2, 9.81, 0.01, -0.02, 0.5)
G = 9.80665


class TestContract(ChipContract):
    chip = "icm20948"
    steady = STILL
    tolerance = (0.002,) * 3 + (0.001,) * 3


def started(rate_hz=None, signal=None):
    bench = Bench("icm20948", signal or steady(*STILL))
    driver = bench.chip.make(bench.bus, bench.address, rate_hz, bench.clock.advance)
    driver.start()
    return bench, driver


def test_the_sensitivities_of_the_data_sheet():
    """At 8 g 4096 LSB/g, at 1000 deg/s 32.8 LSB for each deg/s: tables 2 and 1."""
    bench, _ = started(signal=steady(G, -2 * G, 0, math.radians(100), 0, math.radians(-1)))
    bench.clock.advance(0.01)
    assert bench.bus.write_read(bench.address, b"\x70", 2) == b"\x00\x0c"
    sample = bench.bus.write_read(bench.address, b"\x72", 12)
    assert np.frombuffer(sample, ">i2").tolist() == [4096, -8192, 0, 3280, 0, -33]
    assert bench.bus.write_read(bench.address, b"\x72", 1) == b"\xff"


def test_a_late_read_loses_nothing_while_the_fifo_holds_out():
    bench = Bench("icm20948", steady(*STILL))
    bench.take(5)
    bench.clock.advance(0.35)
    late = bench.take(1)[0]
    assert len(late.times_ns) > 35
    assert late.lost == 0
    assert np.median(np.diff(late.times_ns)) == pytest.approx(11e9 / 1125, abs=1)


def test_an_overflow_is_counted_and_the_samples_after_it_are_whole():
    bench = Bench("icm20948", steady(*STILL))
    bench.take(5)
    bench.clock.advance(2.0)
    after = bench.take(3)
    assert [chunk.lost for chunk in after] == [512 // 12, 0, 0]
    assert bench.sensor.health.errors == 0
    values = np.concatenate([chunk.values for chunk in after])
    np.testing.assert_allclose(values, np.tile(STILL, (len(values), 1)), atol=0.002)


def test_it_and_the_mpu6050_tell_each_other_apart():
    """They share both addresses; what stands at this chip's identity in an MPU-6050 is a factory trim."""
    bench = Bench("icm20948", steady(*STILL))
    mpu = chips.simulated("mpu6050")(bench.clock, None, 0)
    mpu.registers[icm20948.WHO_AM_I] = 0xEA
    other = next(address for address in bench.chip.addresses if address != bench.address)
    bench.adapter.chips[other] = mpu
    identified = {
        (name, address)
        for name in ("icm20948", "mpu6050")
        for address in bench.chip.addresses
        if chips.chip(name).identify(bench.bus, address)
    }
    assert identified == {("icm20948", bench.address), ("mpu6050", other)}


def test_to_identify_changes_nothing():
    bench = Bench("icm20948", steady(*STILL))
    before = dict(bench.simulated.registers)
    assert bench.chip.identify(bench.bus, bench.address)
    assert bench.simulated.registers == before


def test_it_starts_whatever_bank_was_left_selected():
    bench = Bench("icm20948", steady(*STILL))
    bench.bus.write(bench.address, b"\x7f\x20")
    bench.bus.write(bench.address, b"\x00\x63")
    bench.take(1)
    assert bench.sensor.health.errors == 0
    assert bench.simulated.registers[simulated.BANK_SEL] == 0


def test_another_chip_is_refused():
    bench, driver = started()
    bench.simulated.registers[icm20948.WHO_AM_I] = 0xE1  # ICM-20649
    with pytest.raises(SensorError, match="no ICM-20948: its identity is 0xe1"):
        driver.start()
    assert not bench.chip.identify(bench.bus, bench.address)


@pytest.mark.parametrize(("wanted_hz", "divider"), [(None, 10), (1, 255), (50, 21), (1125, 0), (9000, 0)])
def test_both_sensors_get_the_nearest_rate_and_the_fifo_is_read_before_it_is_full(wanted_hz, divider):
    bench, driver = started(wanted_hz)
    assert driver.rate_hz == pytest.approx(1125 / (divider + 1))
    for key in (simulated.GYRO_DIV, simulated.ACCEL_DIV_L):
        assert bench.simulated.registers[key] == divider
    assert driver.poll_s * driver.rate_hz * icm20948.SAMPLE_BYTES <= simulated.FIFO_BYTES / 2


def test_the_gyroscope_has_started_before_the_first_sample():
    bench = Bench("icm20948", steady(*STILL))
    np.testing.assert_allclose(bench.take(1)[0].values[0], STILL, atol=0.002)


def test_without_a_signal_somebody_walks():
    bench = Bench("icm20948")
    values = np.concatenate([chunk.values for chunk in bench.take(50)])
    assert np.linalg.norm(values[:, :3].mean(axis=0)) == pytest.approx(G, abs=1.5)
    assert (values.std(axis=0) > 0.3).all()
