"""The SCD41 under the contract of every chip, and what is its own: it measures at its own pace."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from recorded_room import recorded_room

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import scd41
from edge_agent.sensors.i2c.sensirion import Commands
from edge_agent.sensors.simulated_chips.chip import NackError
from edge_agent.sensors.simulated_chips.scd41 import READY, SERIAL
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

AIR = (612.0, 21.5, 45.0)


class TestContract(ChipContract):
    chip = "scd41"
    steady = AIR
    tolerance = (0.5, 0.002, 0.001)


@pytest.fixture
def bench():
    bench = Bench("scd41", steady(*AIR))
    yield bench
    bench.stop.set()


@pytest.fixture
def driver(bench):
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    driver.start()
    return driver


def raw(bench, command, count):
    bench.simulated.write(command.to_bytes(2, "big"))
    bench.clock.advance(0.001)
    return bench.simulated.read(count)


def test_the_worked_example_of_the_data_sheet():
    """3.5.2: read_measurement gives 500 ppm, 25 degC and 37 %."""
    assert scd41.converted(0x01F4, 0x6667, 0x5EB9) == pytest.approx((500, 25, 37), abs=0.005)


def test_the_simulated_chip_gives_the_bytes_of_the_same_example():
    bench = Bench("scd41", steady(500, 25.0034, 37.0016))
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    driver.start()
    bench.clock.advance(5)
    assert raw(bench, scd41.READ, 9) == bytes.fromhex("01f433 6667a2 5eb93c")


def test_the_serial_number_is_that_of_the_data_sheet(bench):
    """3.9.2, with its checksums."""
    assert raw(bench, scd41.SERIAL_NUMBER, 9) == bytes.fromhex("f89631 9f07c2 3bbe89")
    assert SERIAL[0] << 32 | SERIAL[1] << 16 | SERIAL[2] == 273_325_796_834_238


def test_nothing_is_there_before_five_seconds_and_each_measurement_once(bench, driver):
    assert driver.read() is None
    bench.clock.advance(4.98)
    assert driver.read() is None
    bench.clock.advance(0.02)
    np.testing.assert_allclose(driver.read().values, [AIR], atol=0.5)
    assert driver.read() is None


def test_an_empty_buffer_is_not_acknowledged(bench, driver):
    with pytest.raises(NackError):
        raw(bench, scd41.READ, 9)


def test_a_chip_that_measures_is_known_and_takes_no_other_command(bench, driver):
    assert bench.chip.identify(bench.bus, bench.address)
    for command in (scd41.SERIAL_NUMBER, scd41.REINIT, scd41.START):
        with pytest.raises(NackError):
            raw(bench, command, 3)
    bench.clock.advance(5)
    assert raw(bench, scd41.READY, 3)[:2] == READY.to_bytes(2, "big")


def test_to_be_looked_at_takes_no_measurement_away(bench, driver):
    bench.clock.advance(5)
    assert bench.chip.identify(bench.bus, bench.address)
    assert driver.read() is not None


def test_it_starts_although_another_program_left_it_measuring(bench):
    Commands(bench.bus, bench.address).send(scd41.START_LOW_POWER)
    chunks = bench.take(3)
    assert bench.sensor.health.errors == 0
    assert (chunks[2].times_ns[0] - chunks[0].times_ns[0]) * 1e-9 == pytest.approx(10, abs=1.1)


def test_a_measurement_under_a_wrong_checksum_is_lost_and_counted(bench):
    disturbed = itertools.chain((0, 0, 0), (0, 1), itertools.repeat(0))  # start, then the second answer

    def wait(seconds):
        bench.clock.advance(seconds)
        bench.simulated.corrupt_next = next(disturbed)

    driver = bench.chip.make(bench.bus, bench.address, None, wait)
    driver.start()
    bench.clock.advance(5)
    with pytest.raises(SensorError, match="checksum"):
        driver.read()
    assert driver.read() is None
    bench.clock.advance(5)
    assert driver.read().lost == 1
    bench.clock.advance(5)
    assert driver.read().lost == 0


def test_the_sensor_survives_wrong_checksums(bench):
    bench.take(2)
    bench.simulated.corrupt_next = 1
    bench.take(2)
    assert bench.sensor.health.errors == 1
    assert bench.sensor.health.reconnects == 0
    assert bench.sensor.health.state is SensorState.ONLINE


def test_no_carbon_dioxide_is_no_value():
    bench = Bench("scd41", steady(0, 21.5, 45))
    assert np.isnan(bench.take(1)[0].values).tolist() == [[True, False, False]]


def test_a_chip_that_lost_its_supply_for_a_moment_is_started_again(bench):
    bench.take(2)
    bench.simulated.commanded(scd41.STOP)  # as after power-on: idle, and never anything new
    bench.take(2)
    assert bench.sensor.health.reconnects == 1


def test_the_nearest_of_its_two_rates_is_taken(bench):
    for asked, period_s in ((None, 5), (1.0, 5), (0.15, 5), (0.1, 30), (0.01, 30)):
        driver = bench.chip.make(bench.bus, bench.address, asked, bench.clock.advance)
        assert driver.rate_hz == pytest.approx(1 / period_s)
        driver.start()
        bench.clock.advance(period_s - 0.01)
        assert driver.read() is None
        bench.clock.advance(0.02)
        assert driver.read() is not None


def test_it_measures_a_real_room():
    room = recorded_room("co2", "temperature", "humidity")
    bench = Bench("scd41", room)
    values = np.concatenate([chunk.values for chunk in bench.take(40)])
    born_s = 0.5 + 0.002 + 0.03  # what `start` waits before it measures
    true = [room(born_s + 5 * (i + 1)) for i in range(40)]
    np.testing.assert_allclose(values, true, atol=0.51)
