"""The LSM6DSOX under the contract of every chip, and what is its own: tagged words, time, parity."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import lsm6dsox
from edge_agent.sensors.simulated_chips import lsm6dsox as simulated
from edge_agent.sensors.simulated_chips.world import steady

STILL = (0.1, -0.2, 9.81, 0.01, -0.02, 0.5)
G = 9.80665


class TestContract(ChipContract):
    chip = "lsm6dsox"
    steady = STILL
    tolerance = (0.002,) * 3 + (0.001,) * 3


def started(rate_hz=None, signal=None):
    """A driver at work, on a chip whose FIFO has nothing in it yet."""
    bench = Bench("lsm6dsox", signal or steady(*STILL))
    driver = bench.chip.make(bench.bus, bench.address, rate_hz, bench.clock.advance)
    driver.start()
    return bench, driver


def ramp(seconds):
    """Acceleration along x and rotation about it tell when a sample was taken."""
    return np.array([seconds, 0, 0, seconds, 0, 0], np.float32)


def test_the_examples_of_the_application_note_are_read_as_it_says():
    """AN5272 gives registers at 2 g and 250 deg/s; at 8 g and 1000 deg/s they stand for four times that."""
    bench, driver = started()
    bench.simulated.registers[simulated.FIFO_CTRL4] = 0  # nothing of its own
    for count, (accel, gyro) in enumerate((("6916", "a42c"), ("0940", "4959"), ("97e9", "5cd3"))):
        bench.simulated.queue(simulated.ACCEL, count, bytes.fromhex(accel + "0000" + accel))
        bench.simulated.queue(simulated.GYRO, count, bytes.fromhex(gyro + "0000" + gyro))
        bench.simulated.queue(simulated.TIME, count, bytes(6))
    values = driver.read().values
    np.testing.assert_allclose(values[:, 0], [4 * 0.35 * G, 4 * G, 4 * -0.35 * G], rtol=2e-4)
    np.testing.assert_allclose(values[:, 5], np.radians([400, 800, -400]), rtol=2e-4)
    assert not values[:, [1, 4]].any()


def test_the_simulated_chip_encodes_them_likewise():
    bench, _ = started(signal=steady(4 * G, 0, 0, math.radians(400), 0, 0))
    bench.clock.advance(0.011)
    words = [bench.bus.write_read(bench.address, b"\x78", 7) for _ in range(2)]
    assert words[0][0] >> 3 == lsm6dsox.GYRO
    assert abs(int.from_bytes(words[0][1:3], "little") - 0x2CA4) <= 1
    assert words[1][:3] == bytes((lsm6dsox.ACCEL << 3 | 1 << 1, 0x09, 0x40))


def test_a_late_read_loses_nothing_while_the_fifo_holds_out():
    bench = Bench("lsm6dsox", steady(*STILL))
    bench.take(5)
    bench.clock.advance(1.5)
    late = bench.take(1)[0]
    assert len(late.times_ns) > 150
    assert late.lost == 0
    assert np.median(np.diff(late.times_ns)) == pytest.approx(1e9 / (6667 * 1.006 / 64), abs=1)


def test_an_overflow_costs_what_was_overwritten_and_is_counted_exactly():
    bench = Bench("lsm6dsox", ramp)
    before = bench.take(5)
    bench.clock.advance(4.0)
    after = bench.take(3)
    assert len(after[0].times_ns) == 512 // 3
    period_s = 64 * 6 / simulated.TICK_HZ
    gap_s = float(after[0].values[0, 0] - before[-1].values[-1, 0])
    assert after[0].lost == round(gap_s / period_s) - 1 > 200
    assert [chunk.lost for chunk in after[1:]] == [0, 0]
    assert bench.sensor.health.errors == 0
    seen_s = np.concatenate([chunk.values[:, [0, 3]] for chunk in after])
    np.testing.assert_allclose(np.diff(seen_s[:, 0]), period_s, atol=0.003)
    np.testing.assert_allclose(seen_s[:, 0], seen_s[:, 1], atol=0.003)


def test_half_a_sample_is_not_completed_with_another_after_an_overflow():
    """The count in the tags comes round after four samples, so it alone does not tell them apart."""
    bench, driver = started()
    bench.simulated.registers[simulated.FIFO_CTRL4] = 0
    bench.simulated.queue(simulated.GYRO, 1, bytes(6))
    assert driver.read() is None
    for _ in range(simulated.FIFO_WORDS - 1):
        bench.simulated.queue(3, 1, bytes(6))  # temperature: of no interest
    for tag in (simulated.ACCEL, simulated.TIME):
        bench.simulated.queue(tag, 1, bytes(6))
    assert driver.read() is None


@given(cuts=st.lists(st.integers(0, 30), max_size=6), order=st.permutations((1, 2, 4)))
def test_samples_are_put_together_wherever_a_read_cuts_them(cuts, order):
    bench, driver = started()
    bench.simulated.registers[simulated.FIFO_CTRL4] = 0
    data = {1: lambda n: (n, 0, 0), 2: lambda n: (-n, 0, 0), 4: lambda n: (384 * n, 0, 0)}
    readings = []
    for at, (n, tag) in enumerate(itertools.product(range(10), order)):
        bench.simulated.queue(tag, n, np.array(data[tag](n), "<i2").tobytes())
        if at in cuts:
            readings.append(driver.read())
    readings.append(driver.read())
    got = [reading for reading in readings if reading is not None]
    values = np.concatenate([reading.values for reading in got]) / lsm6dsox.SCALE
    np.testing.assert_allclose(values[:, 3], np.arange(10), atol=1e-3)
    np.testing.assert_allclose(values[:, 0], -np.arange(10), atol=1e-3)
    assert sum(reading.lost for reading in got) == 0


def test_the_time_of_the_chip_may_wrap():
    bench, driver = started()
    bench.simulated.registers[simulated.FIFO_CTRL4] = 0
    for count, ticks in enumerate((2**32 - 384, 0, 384 * 3)):
        for tag in (1, 2):
            bench.simulated.queue(tag, count, bytes(6))
        bench.simulated.queue(4, count, ticks.to_bytes(4, "little") + bytes(2))
    reading = driver.read()
    assert (len(reading.values), reading.lost) == (3, 2)


def test_a_garbled_tag_is_an_error_and_what_it_cost_is_counted():
    bench = Bench("lsm6dsox", steady(*STILL))
    bench.take(5)
    bench.clock.advance(0.1)
    bench.simulated.loaded(0x3A)
    at = len(bench.simulated._words) // 2
    tag, *data = bench.simulated._words[at]
    bench.simulated._words[at] = bytes((tag ^ 0x10, *data))
    chunks = bench.take(2)
    assert bench.sensor.health.errors == 1
    assert chunks[0].lost > 8
    assert bench.sensor.health.lost == chunks[0].lost
    np.testing.assert_allclose(chunks[1].values, np.tile(STILL, (len(chunks[1].values), 1)), atol=0.002)


def test_nothing_is_new_until_a_sample_is_whole():
    bench, driver = started()
    assert driver.read() is None
    bench.simulated.queue(simulated.GYRO, 0, bytes(6))
    assert driver.read() is None


@pytest.mark.parametrize(("wanted_hz", "typical_hz"), [(None, 104.2), (1, 13.02), (50, 52.1), (1000, 416.7)])
def test_the_nearest_rate_is_chosen_and_the_oscillator_is_known(wanted_hz, typical_hz):
    bench, driver = started(wanted_hz)
    assert driver.rate_hz == pytest.approx(typical_hz * 1.006, rel=1e-3)
    bench.clock.advance(0.3)
    assert len(driver.read().values) == int(0.3 * driver.rate_hz)


def test_the_gyroscope_has_settled_before_the_first_sample():
    bench = Bench("lsm6dsox", steady(*STILL))
    np.testing.assert_allclose(bench.take(1)[0].values[0], STILL, atol=0.002)


def test_an_older_relative_is_refused():
    bench, driver = started()
    bench.simulated.registers[lsm6dsox.WHO_AM_I] = 0x69  # LSM6DS3
    with pytest.raises(SensorError, match="no LSM6DSOX: its identity is 0x69"):
        driver.start()
    assert not bench.chip.identify(bench.bus, bench.address)
