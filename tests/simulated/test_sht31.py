"""The SHT31 under the contract of every chip, and what is its own: checksums and single shots."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st
from recorded_room import recorded_room

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import sht31
from edge_agent.sensors.i2c.sensirion import Commands, crc8
from edge_agent.sensors.simulated_chips.chip import NackError
from edge_agent.sensors.simulated_chips.sensirion import CommandChip, checksum
from edge_agent.sensors.simulated_chips.sht31 import PERIODIC_1_HZ, REFUSED
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

AIR = (21.5, 45.0)


class TestContract(ChipContract):
    chip = "sht31"
    steady = AIR
    tolerance = (0.002, 0.001)


@pytest.fixture
def bench():
    bench = Bench("sht31", steady(*AIR))
    yield bench
    bench.stop.set()


def test_the_checksum_of_the_data_sheet():
    assert crc8(b"\xbe\xef") == 0x92  # 4.12
    assert checksum(0xBEEF) == 0x92


@given(st.integers(0, 0xFFFF))
def test_two_ways_to_the_same_checksum(word):
    assert crc8(word.to_bytes(2, "big")) == checksum(word)


@pytest.mark.parametrize(
    ("raw", "air"), [((0, 0), (-45, 0)), ((0xFFFF, 0xFFFF), (130, 100)), ((0x6667, 0x5EB9), (25, 37))]
)
def test_the_conversion_at_its_ends_and_at_a_worked_example(raw, air):
    """4.13; the example is that of read_measurement in the SCD4x data sheet, which converts alike."""
    assert sht31.converted(*raw) == pytest.approx(air, abs=0.005)


def test_a_wrong_checksum_is_counted_and_survived(bench):
    bench.take(3)
    bench.simulated.corrupt_next = 1
    bench.take(3)
    assert bench.sensor.health.errors == 1
    assert bench.sensor.health.reconnects == 0
    assert bench.sensor.health.state is SensorState.ONLINE


def test_checksums_that_stay_wrong_start_it_anew_and_it_comes_back(bench):
    bench.take(3)
    bench.simulated.corrupt_next = 3 * 2
    bench.take(1)
    assert bench.sensor.health.errors == 3 + 1
    assert bench.sensor.health.reconnects == 1


def test_it_acknowledges_nothing_while_it_measures(bench):
    chip = Commands(bench.bus, bench.address)
    chip.send(sht31.MEASURE)
    with pytest.raises(NackError):
        bench.simulated.read(6)
    with pytest.raises(NackError):
        bench.simulated.write(sht31.STATUS.to_bytes(2, "big"))
    bench.clock.advance(0.016)
    assert len(chip.words(2)) == 2
    with pytest.raises(NackError):
        bench.simulated.read(6)


def test_a_periodic_mode_that_another_program_left_is_ended(bench):
    chip = Commands(bench.bus, bench.address)
    chip.send(PERIODIC_1_HZ)
    chip.send(sht31.RESET)
    assert bench.simulated.status & REFUSED
    assert bench.chip.identify(bench.bus, bench.address)
    bench.take(2)
    assert not bench.simulated.periodic
    assert bench.sensor.health.errors == 0


class Unmoved(CommandChip):
    """Speaks the language, but no reset shows in its status."""

    def commanded(self, command):
        self.reply(lambda: [0x8000])


def test_a_chip_that_does_not_reset_is_none(bench):
    bench.adapter.chips[bench.address] = Unmoved(bench.clock.monotonic_ns)
    with pytest.raises(SensorError, match="SHT3x"):
        bench.chip.make(bench.bus, bench.address, None, bench.clock.advance).start()


def test_a_rate_is_kept_within_what_the_chip_offers(bench):
    for asked, given_hz in ((None, 1.0), (0.1, 0.1), (4.0, 4.0), (100.0, 10.0)):
        assert bench.chip.make(bench.bus, bench.address, asked, bench.clock.advance).rate_hz == given_hz


def test_it_measures_a_real_room():
    room = recorded_room("temperature", "humidity")
    bench = Bench("sht31", room)
    chunks = bench.take(60)
    true = [room((chunk.times_ns[0] - 1_000_000_000) * 1e-9 - 0.0035) for chunk in chunks]
    np.testing.assert_allclose(np.concatenate([chunk.values for chunk in chunks]), true, atol=0.002)
