"""The MPU-6050 under the contract of every chip, and what is its own: the FIFO."""

from __future__ import annotations

import numpy as np
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


def test_it_wakes_from_sleep_and_the_relatives_are_known():
    bench = Bench("mpu6050", steady(*STILL))
    assert bench.simulated.registers[mpu6050.PWR_MGMT_1] == 0x40
    bench.take(1)
    assert bench.simulated.registers[mpu6050.PWR_MGMT_1] == mpu6050.CLOCK_OF_GYRO
    bench.simulated.registers[mpu6050.WHO_AM_I] = 0x71
    assert bench.chip.identify(bench.bus, bench.address)
