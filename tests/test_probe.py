"""What is plugged in: chips on a simulated bus, and devices by what they say on their line."""

from __future__ import annotations

import os
import tty
from pathlib import Path

import pytest
import serial as pyserial
from hypothesis import given
from hypothesis import strategies as st
from serial.tools.list_ports_common import ListPortInfo

from edge_agent.clock import ManualClock
from edge_agent.sensors import probe, serial
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.sensors.simulated_lidar import room
from edge_agent.sensors.simulated_rplidar import RplidarDevice
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


def test_a_scanner_that_is_asked_by_the_greeting_is_known_also_while_it_scans():
    scanner = RplidarDevice(room(), turns_hz=5.5, spin_up_us=0)
    assert probe.guess_line(scanner.boot(0)) == ""
    scanner.receive(b"\xa5\x20", 0)
    said = b"".join(scanner.due(100_000))
    assert said
    assert probe.guess_line(said) == ""
    assert probe.guess_line(said + scanner.receive(probe.GREETING, 100_000)) == "lidar rplidar_a1"
    assert scanner.due(200_000) == [], "it was told to stop, so that it hears the question"


def described(device: Path, description: str) -> ListPortInfo:
    port = ListPortInfo(str(device))
    port.description = description
    return port


def test_ports_are_named_by_what_stays_the_same_when_they_are_plugged_in_again(tmp_path: Path):
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    known = [described(tmp_path / "ttyUSB0", "CP2102"), described(tmp_path / "ttyAMA0", "n/a")]
    (by_id / "usb-Silicon_Labs_CP2102-if00").symlink_to("../ttyUSB0")
    named = [str(by_id / "usb-Silicon_Labs_CP2102-if00"), str(tmp_path / "ttyAMA0")]
    assert serial.ports(lambda: known, by_id) == named
    assert serial.ports(lambda: known, tmp_path / "none") == sorted(port.device for port in known)
    found = serial.probed(named[0], listen=False, known=lambda: known)
    assert (found.what, f"--port {named[0]}" in found.hint) == ("CP2102", True)


def test_a_port_that_another_program_has_or_that_is_not_there_is_said_to_be_so(tmp_path: Path):
    master, slave = os.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    with pyserial.Serial(path, exclusive=True):
        assert "cannot be opened" in serial.probed(path, listen=True).what
    os.close(slave)
    os.close(master)
    assert "cannot be opened" in serial.probed(str(tmp_path / "gone"), listen=True).what


@given(st.binary(max_size=400))
def test_noise_is_no_device(noise: bytes):
    assert probe.guess_line(noise) in {"", "gps", "lidar ld06", "lidar rplidar_a1"}
