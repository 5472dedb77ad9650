"""The D6T-44L under the contract of every chip, and what is its own: the packet error code."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import d6t
from edge_agent.sensors.simulated_chips.d6t import remainder
from edge_agent.sensors.simulated_chips.world import Played, steady
from edge_agent.types import SensorState

ROOM = (*np.linspace(-5.0, 35.0, 16).tolist(), 22.3)
RECORDED = Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data")) / "room_thermal_array" / "data.npz"


class TestContract(ChipContract):
    chip = "d6t"
    steady = ROOM
    tolerance = 0.051


def test_the_checksum_is_that_of_smbus_and_of_a_real_sensor():
    """The usual check of a CRC; and address and frame of a D6T-1A-01 whose command was a transaction of its
    own (https://forum.arduino.cc/t/omron-d6t-invalid-data/531953).
    """
    assert d6t.crc8(b"123456789") == 0xF4
    assert d6t.crc8(bytes((0x15, 15, 1, 248, 0))) == 218


@given(st.binary(max_size=40))
def test_driver_and_simulated_chip_agree_on_every_checksum(data):
    assert d6t.crc8(data) == remainder(data)


def test_the_worked_values_of_the_manual():
    """A284, table 3: 25.0 degC is 00FAh, -25.0 degC is FF06h; the low byte comes first."""
    frame = b"\xfa\x00" + b"\x06\xff" * 16
    np.testing.assert_allclose(d6t.temperatures(frame), [-25.0] * 16 + [25.0])


def test_a_wrong_checksum_is_counted_and_survived():
    bench = Bench("d6t", steady(*ROOM))
    bench.take(2)
    bench.simulated.corrupt_next = 2
    chunk = bench.take(1)[0]
    assert bench.sensor.health.errors == 2
    assert bench.sensor.health.reconnects == 0
    np.testing.assert_allclose(chunk.values[0], ROOM, atol=0.051)


def test_a_sensor_that_goes_on_giving_up_is_started_anew():
    bench = Bench("d6t", steady(*ROOM))
    bench.take(2)
    bench.simulated.give_up_next = 4
    chunk = bench.take(1)[0]
    assert bench.sensor.health.errors == 5  # three frames, what they led to, and the first start
    assert bench.sensor.health.reconnects == 1
    np.testing.assert_allclose(chunk.values[0], ROOM, atol=0.051)


def test_a_smaller_relative_is_not_taken_for_it():
    """A D6T-8L answers the same command at the same address, with 19 bytes."""

    class D6t8l:
        def write(self, data):
            self.sent = bytes((0x14, *data, 0x15)) + bytes(18)

        def read(self, count):
            return (self.sent[3:] + bytes((d6t.crc8(self.sent),))).ljust(count, b"\xff")

    bench = Bench("d6t", other=D6t8l())
    assert not bench.chip.identify(bench.bus, bench.address)
    with pytest.raises(SensorError, match="no D6T-44L"):
        bench.chip.make(bench.bus, bench.address, None, bench.clock.advance).start()


def test_it_is_not_read_faster_than_it_measures():
    bench = Bench("d6t", steady(*ROOM))
    assert bench.chip.make(bench.bus, bench.address, 50.0, bench.clock.advance).rate_hz == d6t.HIGHEST_HZ
    assert bench.chip.make(bench.bus, bench.address, 0.5, bench.clock.advance).poll_s == 2.0


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings")
def test_a_real_recording_comes_through_unchanged():
    with np.load(RECORDED, allow_pickle=False) as recorded:
        good = recorded["pec_ok"][:400] == 1
        pixels, own = recorded["x_decidegc"][:400][good], recorded["ambient_decidegc"][:400][good]
    values = (np.column_stack([pixels, own]) / 10).astype(np.float32)
    bench = Bench("d6t", Played(np.arange(len(values), dtype=np.int64) * 250_000_000, values))
    got = np.concatenate([chunk.values for chunk in bench.take(20)])
    assert (np.abs(got[:, np.newaxis] - values).max(axis=2).min(axis=1) < 0.01).all()
    assert len(np.unique(got, axis=0)) > 10
    assert bench.sensor.health.state is SensorState.ONLINE
