"""The VL53L5CX under the contract of every chip, and what is its own: firmware, commands, frames."""

from __future__ import annotations

import dataclasses
import math
import struct

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.i2c import chips, vl53l5cx, vl53l5cx_firmware
from edge_agent.sensors.i2c.driver import Registers
from edge_agent.sensors.simulated_chips.world import steady

STEADY = tuple(0.1 + 0.05 * zone for zone in range(64))


class TestContract(ChipContract):
    chip = "vl53l5cx"
    steady = STEADY
    tolerance = 0.000126  # a quarter of a millimetre, rounded


def made(bench, rate_hz=None, **changes):
    firmware = dataclasses.replace(vl53l5cx_firmware.installed_firmware(), **changes)
    return vl53l5cx.Vl53l5cx(bench.bus, bench.address, rate_hz, bench.clock.advance, firmware)


def started(bench, rate_hz=None):
    driver = made(bench, rate_hz)
    driver.start()
    return driver


def after_a_period(bench, driver):
    bench.clock.advance(1.05 / driver.rate_hz)
    reading = driver.read()
    assert reading is not None
    return reading


def test_zones_without_a_target_or_too_far_are_nan_and_the_others_are_not():
    seen = np.full(64, 1.5)
    seen[[0, 9, 63]] = math.nan, 4.2, math.nan
    bench = Bench("vl53l5cx", steady(*seen))
    driver = started(bench)
    after_a_period(bench, driver)
    values = after_a_period(bench, driver).values[0]
    assert np.flatnonzero(np.isnan(values)).tolist() == [0, 9, 63]
    np.testing.assert_allclose(np.delete(values, [0, 9, 63]), 1.5, atol=0.001)


def test_the_first_frame_is_not_checked_for_wrapping_and_not_trusted():
    bench = Bench("vl53l5cx", steady(*STEADY))
    driver = started(bench)
    assert driver.read() is None
    assert np.isnan(after_a_period(bench, driver).values).all()
    assert not np.isnan(after_a_period(bench, driver).values).any()
    assert driver.read() is None


def test_frames_that_were_not_read_are_counted_also_where_the_count_begins_anew():
    bench = Bench("vl53l5cx", steady(*STEADY))
    driver = started(bench)
    after_a_period(bench, driver)
    bench.clock.advance(3 / driver.rate_hz)
    assert driver.read().lost == 2
    bench.clock.advance(253 / driver.rate_hz)
    assert driver.read().lost == 252


@pytest.mark.parametrize(("asked_hz", "given_hz"), [(0.1, 1.0), (4.4, 4.0), (10.0, 10.0), (60.0, 15.0)])
def test_the_rate_is_a_whole_number_of_hertz_up_to_fifteen(asked_hz, given_hz):
    bench = Bench("vl53l5cx", steady(*STEADY))
    driver = started(bench, asked_hz)
    assert driver.rate_hz == given_hz
    after_a_period(bench, driver)
    bench.clock.advance(4.0)
    assert driver.read().lost == pytest.approx(4 * given_hz - 1, abs=1)


def test_a_program_with_a_hole_does_not_boot():
    bench = Bench("vl53l5cx", steady(*STEADY))
    program = vl53l5cx_firmware.installed_firmware().program
    with pytest.raises(SensorError, match="did not take its firmware"):
        made(bench, program=program[:-4]).start()


def test_the_factorys_offsets_have_to_go_back_to_the_chip():
    """Where the command asks for something else, what is sent back is something else."""
    bench = Bench("vl53l5cx", steady(*STEADY))
    asked = vl53l5cx_firmware.installed_firmware().read_factory_data
    driver = made(bench, read_factory_data=asked.replace(b"\x9e\x38\x04\x04", b"\xb0\x00\x04\x04"))
    driver.start()
    after_a_period(bench, driver)
    np.testing.assert_allclose(after_a_period(bench, driver).values[0], np.add(STEADY, 0.03), atol=0.001)


def test_settings_are_refused_while_it_ranges():
    bench = Bench("vl53l5cx", steady(*STEADY))
    driver = started(bench)
    with pytest.raises(SensorError, match="refused a command"):
        driver._set(vl53l5cx.RATE, bytes(4))


def test_a_fault_of_its_processor_is_said():
    """The header that a board showed whose supply was too weak: FF 05 C5 81."""
    bench = Bench("vl53l5cx", steady(*STEADY))
    driver = started(bench)
    bench.simulated.fault = 0xC5
    assert Registers(bench.bus, bench.address, 2).read(0, 4) == b"\xff\x05\xc5\x81"
    with pytest.raises(SensorError, match="0xc5"):
        driver.read()


def test_without_the_package_the_configuration_is_wrong(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(ConfigurationError, match="sparkfun-qwiic-vl53l5cx") as caught:
        vl53l5cx_firmware.installed_firmware()
    assert caught.value.hint.startswith("pip install ")


def test_another_firmware_is_refused(tmp_path):
    for name in ("firmware", "default_configuration", "default_xtalk", "get_nvm_cmd"):
        (tmp_path / f"{name}.bin").write_bytes(b"newer")
    with pytest.raises(ConfigurationError, match="another one"):
        vl53l5cx_firmware.firmware_in(tmp_path)
    (tmp_path / "firmware.bin").unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        vl53l5cx_firmware.firmware_in(tmp_path)


def test_the_commands_of_the_package_are_whole_messages():
    """Each ends with a word that says how long it is, and that length spans to its first byte."""
    firmware = vl53l5cx_firmware.installed_firmware()
    for message in (firmware.configuration, firmware.crosstalk, firmware.read_factory_data):
        assert message[-8:-4] == vl53l5cx.END_OF_BLOCKS
        assert int.from_bytes(message[-2:], "big") == len(message) - 4
    assert len(firmware.program) == 0x15000


@pytest.mark.parametrize("name", ["vl53l0x", "vl53l1x", "vl53l5cx"])
@pytest.mark.parametrize("ranging", [False, True])
def test_the_three_are_told_apart_and_none_is_disturbed(name, ranging):
    bench = Bench(name)
    driver = bench.chip.make(bench.bus, bench.address, None, bench.clock.advance)
    if ranging:
        driver.start()
        after_a_period(bench, driver)
    before = {key: repr(value) for key, value in vars(bench.simulated).items() if "ointer" not in key}
    found = {
        other: chips.chip(other).identify(bench.bus, bench.address)
        for other in ("vl53l0x", "vl53l1x", "vl53l5cx")
    }
    assert found == {other: other == name for other in found}
    after = {key: repr(value) for key, value in vars(bench.simulated).items() if "ointer" not in key}
    assert after == before
    if ranging:
        after_a_period(bench, driver)


@pytest.mark.parametrize("other", ["vl53l0x", "vl53l1x"])
def test_a_relative_at_its_address_is_refused(other):
    bench = Bench("vl53l5cx", other=chips.simulated(other)(Bench(other).clock, None, 0))
    with pytest.raises(SensorError, match="no VL53L5CX"):
        started(bench)


@given(data=st.binary(max_size=600))
def test_any_frame_is_parsed_or_said_to_be_torn(data):
    wanted = {vl53l5cx.TARGETS, vl53l5cx.DISTANCES}
    try:
        found = vl53l5cx.parse_frame(data, wanted)
    except SensorError:
        return
    assert {index: len(block) for index, block in found.items()} == {
        vl53l5cx.TARGETS: 64,
        vl53l5cx.DISTANCES: 128,
    }


def test_a_frame_that_ends_too_soon_is_torn():
    frame = bytes(16) + struct.pack(">I", 0xCF7C0401) + bytes(range(64))
    assert vl53l5cx.parse_frame(frame, {vl53l5cx.TARGETS})[vl53l5cx.TARGETS][:4] == b"\3\2\1\0"
    with pytest.raises(SensorError, match="torn"):
        vl53l5cx.parse_frame(frame[:-4], {vl53l5cx.TARGETS})
