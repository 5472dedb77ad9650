"""The MPU-6050 and the MPU-9250 under the contract of every chip, and what is their own: the FIFO."""

from __future__ import annotations

import math

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract

from edge_agent.sensors.i2c import mpu6050
from edge_agent.sensors.simulated_chips.world import steady

STILL = (0.1, -0.2, 9.81, 0.01, -0.02, 0.5)


class TestContract(ChipContract):
    chip = "mpu6050"
    steady = STILL
    tolerance = (0.002,) * 3 + (0.001,) * 3


def test_a_late_read_loses_nothing_while_the_fifo_holds_out():
    bench = Bench("mpu6050", steady(*STILL))
    bench.take(5)
    bench.clock.advance(0.7)
    late = bench.take(1)[0]
    assert len(late.times_ns) > 60
    assert late.lost == 0
    assert np.median(np.diff(late.times_ns)) == 10_000_000


def test_an_overflow_is_counted_and_the_samples_after_it_are_whole():
    bench = Bench("mpu6050", steady(*STILL))
    bench.take(5)
    bench.clock.advance(3.0)
    after = bench.take(3)
    assert sum(chunk.lost for chunk in after) == 1024 // 12
    assert bench.sensor.health.lost == 1024 // 12
    values = np.concatenate([chunk.values for chunk in after])
    np.testing.assert_allclose(values, np.tile(STILL, (len(values), 1)), atol=0.002)


RELATIVES = {"MPU-6500": 0x70, "MPU-9250": 0x71, "MPU-9255": 0x73}
"""WHO_AM_I: MPU-9250 Register Map rev. 1.6, section 4.36; MPU-6500 RM-MPU-6500A-00 rev. 2.1, 4.39."""


@pytest.fixture
def nine_axes():
    bench = Bench("mpu6050", steady(*STILL))
    bench.simulated.registers[mpu6050.WHO_AM_I] = RELATIVES["MPU-9250"]
    return bench


class TestContractOfThe9250(ChipContract):
    chip = "mpu6050"
    steady = STILL
    tolerance = (0.002,) * 3 + (0.001,) * 3

    @pytest.fixture
    def bench(self, nine_axes):
        yield nine_axes
        nine_axes.stop.set()
        nine_axes.chunks.close()


def test_the_fifo_of_the_9250_is_half_as_large(nine_axes):
    nine_axes.take(5)
    nine_axes.clock.advance(0.35)
    late = nine_axes.take(1)[0]
    assert (len(late.times_ns) > 30, late.lost) == (True, 0)
    nine_axes.clock.advance(0.7)
    after = nine_axes.take(3)
    assert [chunk.lost for chunk in after] == [512 // 12, 0, 0]
    values = np.concatenate([chunk.values for chunk in after])
    np.testing.assert_allclose(values, np.tile(STILL, (len(values), 1)), atol=0.002)


def test_the_accelerometer_of_the_9250_has_a_filter_of_its_own(nine_axes):
    """ACCEL_CONFIG 2, 0x1D (MPU-9250 Register Map rev. 1.6, 4.8); the MPU-6050 has nothing there."""
    nine_axes.take(1)
    assert nine_axes.simulated.registers[0x1D] == 0x03
    bench = Bench("mpu6050", steady(*STILL))
    bench.take(1)
    assert 0x1D not in bench.simulated.registers


@pytest.mark.parametrize("identity", RELATIVES.values(), ids=RELATIVES)
def test_the_relatives_are_known(identity):
    bench = Bench("mpu6050", steady(*STILL))
    bench.simulated.registers[mpu6050.WHO_AM_I] = identity
    assert bench.chip.identify(bench.bus, bench.address)
    assert len(bench.take(3)) == 3


@pytest.mark.parametrize(("wanted_hz", "divider"), [(None, 9), (1, 255), (50, 19), (1000, 0), (9000, 0)])
def test_the_nearest_rate_is_set_and_the_fifo_is_read_before_it_is_full(wanted_hz, divider):
    bench = Bench("mpu6050", steady(*STILL))
    driver = bench.chip.make(bench.bus, bench.address, wanted_hz, bench.clock.advance)
    driver.start()
    assert bench.simulated.registers[0x19] == divider
    assert driver.rate_hz == 1000 / (divider + 1)
    assert driver.poll_s * driver.rate_hz * 12 <= 512 / 2


def test_the_sensitivities_of_the_data_sheet():
    """At 8 g 4096 LSB/g (PS-MPU-6000A 6.2), at 1000 deg/s 32.8 LSB for each deg/s (6.1), high byte first."""
    g = 9.80665
    bench = Bench("mpu6050", steady(g, -2 * g, 0, math.radians(100), 0, math.radians(-1)))
    bench.chip.make(bench.bus, bench.address, None, bench.clock.advance).start()
    bench.clock.advance(0.011)
    assert bench.bus.write_read(bench.address, b"\x72", 2) == b"\x00\x0c"
    sample = bench.bus.write_read(bench.address, b"\x74", 12)
    assert np.frombuffer(sample, ">i2").tolist() == [4096, -8192, 0, 3280, 0, -33]


def test_it_wakes_from_sleep():
    bench = Bench("mpu6050", steady(*STILL))
    assert bench.simulated.registers[mpu6050.PWR_MGMT_1] == 0x40
    bench.take(1)
    assert bench.simulated.registers[mpu6050.PWR_MGMT_1] == mpu6050.CLOCK_OF_GYRO
