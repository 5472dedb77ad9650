"""What is plugged in: chips on a simulated bus, and devices by what they say on their line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.sensors import probe
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from firmware_bridge import Connection, Hello, Role

CLOCK = ManualClock()


def bus_with(name: str) -> I2CBus:
    chip = chips.chip(name)
    adapter = SimulatedAdapter({chip.addresses[0]: chips.simulated(name)(CLOCK, None, 0)})
    return I2CBus("/dev/i2c-9", adapter.open, pause=CLOCK.advance)


@pytest.mark.parametrize("name", chips.NAMES)
def test_every_chip_is_recognised_and_taken_for_no_other(name: str):
    CLOCK.advance(10.0)
    found = [each for each in probe.on_i2c(bus_with(name)) if each.hint]
    assert [each.what.split(":")[0] for each in found] == [name]
    assert f'chip = "{name}", bus = 9, address = 0x' in found[0].hint


def test_an_unknown_chip_is_listed_and_a_bus_that_fails_does_not_hide_the_others():
    strange = SimulatedAdapter({0x55: RegisterChip(CLOCK.monotonic_ns)})
    stuck = SimulatedAdapter({0x55: RegisterChip(CLOCK.monotonic_ns)})
    stuck.stuck = True
    found = list(probe.on_buses([I2CBus("/dev/i2c-1", stuck.open), I2CBus("/dev/i2c-2", strange.open)]))
    assert [(each.where, each.what) for each in found[1:]] == [("/dev/i2c-2 0x55", "unknown chip")]
    assert "stuck" in found[0].what


def test_buses_and_cameras_are_found_by_what_the_kernel_shows(tmp_path: Path):
    (tmp_path / "i2c-20").touch()
    (tmp_path / "i2c-1").touch()
    assert probe.i2c_buses(tmp_path) == [str(tmp_path / "i2c-1"), str(tmp_path / "i2c-20")]
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("USB Camera\n")
    (camera,) = probe.video_devices(tmp_path)
    assert (camera.where, camera.what) == ("/dev/video0", "USB Camera")


def test_a_device_is_known_by_what_it_says():
    assert probe.guess_line(b"noise\0" + Connection(Role.DEVICE).send(Hello("board"))) == "firmware bridge"
    sentence = b"$GPGLL,4916.45,N,12311.12,W,225444,A"
    checksum = 0
    for byte in sentence[1:]:
        checksum ^= byte
    assert probe.guess_line(b"xx\r\n" + sentence + b"*%02X\r\n" % checksum) == "gps"
    assert probe.guess_line(sentence + b"*%02X\r\n" % (checksum ^ 1)) == ""
    packet = b"\x54\x2c" + bytes(45)
    assert probe.guess_line(b"\x01" + packet * 2) == "lidar ld06"
    assert probe.guess_line(packet) == ""
    assert probe.guess_line(b"") == ""


@given(st.binary(max_size=400))
def test_noise_is_no_device(noise: bytes):
    assert probe.guess_line(noise) in {"", "gps", "lidar ld06"}
