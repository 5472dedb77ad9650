"""The Grid-EYE under the contract of every chip, and what is its own: two formats, and no identity."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import amg8833, chips
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.sensors.simulated_chips.world import steady

ROOM = (*np.linspace(-12.0, 80.0, 64).tolist(), 24.3)
NEIGHBOURS = [
    name for name in chips.NAMES if name != "amg8833" and {0x68, 0x69} & set(chips.chip(name).addresses)
]


class TestContract(ChipContract):
    chip = "amg8833"
    steady = ROOM
    tolerance = (0.126,) * 64 + (0.032,)


@pytest.mark.parametrize(
    ("celsius", "raw"),
    [(125, 0x1F4), (25, 0x064), (0.25, 0x001), (0, 0), (-0.25, 0xFFF), (-25, 0xF9C), (-55, 0xF24)],
)
def test_the_data_sheets_table_of_pixel_temperatures(celsius, raw):
    assert amg8833.pixel_temperatures(raw.to_bytes(2, "little")) == celsius


@pytest.mark.parametrize(
    ("celsius", "raw"),
    [(125, 0x7D0), (25, 0x190), (0.25, 0x004), (0, 0), (-0.25, 0x804), (-20, 0x940)],
)
def test_the_data_sheets_table_of_thermistor_temperatures(celsius, raw):
    assert amg8833.thermistor_temperature(raw.to_bytes(2, "little")) == celsius


@given(st.lists(st.floats(-55, 125), min_size=64, max_size=64), st.floats(1, 80))
def test_any_frame_is_measured_to_half_a_bit(pixels, own):
    bench = Bench("amg8833", steady(*pixels, own))
    (values,) = bench.take(1)[0].values
    np.testing.assert_allclose(values[:64], pixels, atol=0.1251)
    assert values[64] == pytest.approx(own, abs=0.0313)


def test_a_pixel_that_overflows_spoils_its_frame_and_no_other():
    hot = [25.0] * 65
    bench = Bench(
        "amg8833", lambda seconds: np.array([600.0 if 1 < seconds < 1.35 else 25.0, *hot[1:]], "f4")
    )
    frames = np.concatenate([chunk.values for chunk in bench.take_for(3.0)])
    spoilt = np.isnan(frames[:, 0])
    assert 3 <= spoilt.sum() <= 5
    assert np.isnan(frames[spoilt, :64]).all()
    assert (frames[:, 64] == 25.0).all()
    assert (frames[~spoilt] == 25.0).all()


def test_a_thermistor_that_overflows_spoils_only_itself():
    bench = Bench("amg8833", lambda seconds: np.array([25.0] * 64 + [130.0 if seconds > 1 else 25.0], "f4"))
    frame = bench.take_for(2.0)[-1].values[0]
    assert (frame[:64] == 25.0).all()
    assert np.isnan(frame[64])


@pytest.mark.parametrize("name", NEIGHBOURS)
@pytest.mark.parametrize("address", [0x68, 0x69])
def test_what_else_lives_at_its_address_is_not_taken_for_it_nor_it_for_that(name, address):
    clock = ManualClock()
    at = {address: chips.simulated(name)(clock, None, 0)}
    assert not amg8833.identify(I2CBus("x", SimulatedAdapter(at).open), address)
    at = {address: chips.simulated("amg8833")(clock, None, 0)}
    assert not chips.chip(name).identify(I2CBus("x", SimulatedAdapter(at).open), address)


def test_there_are_neighbours_to_be_told_from():
    assert "mpu6050" in NEIGHBOURS


@pytest.mark.parametrize("fill", [0x00, 0x01, 0x7F, 0xFF])
def test_a_chip_with_the_same_byte_everywhere_is_not_taken_for_it(fill):
    clock = ManualClock()
    other = RegisterChip(clock.monotonic_ns, dict.fromkeys(range(256), fill))
    assert not amg8833.identify(I2CBus("x", SimulatedAdapter({0x69: other}).open), 0x69)


def test_to_identify_it_writes_nothing_and_clears_nothing():
    bench = Bench("amg8833", steady(*[600.0] * 64, 25.0))
    bench.bus.read(bench.address, 1)
    before = dict(bench.simulated.registers)
    assert before[amg8833.STAT] == amg8833.PIXEL_OVERFLOW
    bench.chip.identify(bench.bus, bench.address)
    assert bench.simulated.registers == before


def test_something_hot_in_view_does_not_hide_it():
    bench = Bench("amg8833", steady(*[300.0] * 20, *[25.0] * 44, 25.0))
    assert bench.chip.identify(bench.bus, bench.address)


def test_one_that_sleeps_is_refused_with_the_way_out():
    bench = Bench("amg8833", steady(*ROOM))
    bench.simulated.write(bytes((amg8833.PCTL, amg8833.SLEEP)))
    assert not bench.chip.identify(bench.bus, bench.address)
    with pytest.raises(SensorError) as caught:
        bench.chip.make(bench.bus, bench.address, None, bench.clock.advance).start()
    assert "lose its power" in caught.value.hint


def test_at_one_frame_a_second_it_measures_once_a_second():
    bench = Bench("amg8833", lambda seconds: np.full(65, 20 + seconds, np.float32))
    driver = bench.chip.make(bench.bus, bench.address, 1.0, bench.clock.advance)
    driver.start()
    assert bench.simulated.registers[amg8833.FPSC] == amg8833.ONE_A_SECOND
    seen = set()
    for _ in range(40):
        seen.add(float(driver.read().values[0, 0]))
        bench.clock.advance(0.1)
    assert len(seen) == 5
