"""What is plugged in: I2C chips, serial ports, sound and video devices.

Nothing is changed; only who listens to a serial port says `GREETING` there. Each function takes what it looks
at, so that it works the same on a simulated bus or a pty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.bus import I2CBus
from firmware_bridge import NEED_DATA, Connection, Hello, RemoteProtocolError, Role

LISTEN_S = 1.2
"""A GPS receiver speaks once a second."""
LISTEN_BAUDS = (115_200, 921_600, 9_600, 230_400)
GREETING = Connection(Role.HOST).send(Hello("edge-agent probe")) + b"\xa5\x25\xa5\x50"
"""For what speaks when it is spoken to: a hello of the firmware bridge, STOP and GET_INFO of an RPLIDAR."""
_LD06_HEADER = b"\x54\x2c"
_LD06_FRAME_BYTES = 47
_RPLIDAR_HEADER = b"\xa5\x5a\x14\x00\x00\x00\x04"
"""What its answer to GET_INFO begins with (`rplidar` names the document)."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that answers: `where` to name it in the configuration, `what` it seems to be."""

    kind: str
    where: str
    what: str
    hint: str = ""
    """The line of configuration that it would be, or what to do next."""


def i2c_buses(folder: Path = Path("/dev")) -> list[str]:
    """The I2C buses of this machine, by path."""
    return sorted(str(path) for path in folder.glob("i2c-*"))


def on_i2c(bus: I2CBus) -> Iterator[Found]:
    """Each address that answers, and the chips that it could be. Raises SensorError for an unusable bus."""
    known = [chips.chip(name) for name in chips.NAMES]
    for address in bus.scan():
        where = f"{bus.path} 0x{address:02x}"
        alike = [c for c in known if address in c.addresses and c.identify(bus, address)]
        if not alike:
            yield Found("i2c", where, "unknown chip")
        for chip in alike:
            number = bus.path.removeprefix("/dev/i2c-")
            hint = f'kind = "i2c", chip = "{chip.name}", bus = {number}, address = 0x{address:02x}'
            yield Found("i2c", where, f"{chip.name}: {chip.description}", hint)


def guess_line(data: bytes) -> str:
    """What a serial device that said `data` seems to be; "" where it says nothing that we know."""
    if _speaks_bridge(data):
        return "firmware bridge"
    if any(_is_nmea(line) for line in data.split(b"\n")):
        return "gps"
    at = data.find(_LD06_HEADER)
    if at >= 0 and data[at + _LD06_FRAME_BYTES :].startswith(_LD06_HEADER):
        return "lidar ld06"
    if _RPLIDAR_HEADER in data:
        return "lidar rplidar_a1"
    return ""


def _speaks_bridge(data: bytes) -> bool:
    """Whether a hello, or an intact frame after one, stands in it."""
    host = Connection(Role.HOST)
    host.receive_data(data)
    try:
        while (event := host.next_event()) is not NEED_DATA:
            if isinstance(event, Hello):
                return True
    except RemoteProtocolError:  # intact frames, but from the middle of a conversation
        return True
    return False


def _is_nmea(line: bytes) -> bool:
    """`$` talker and type, fields, `*` and a checksum that is right (NMEA 0183, 5.3)."""
    line = line.strip()
    body, star, checksum = line[1:].partition(b"*")
    if not line.startswith(b"$") or not star or len(checksum) != 2:
        return False
    expected = 0
    for byte in body:
        expected ^= byte
    try:
        return int(checksum, 16) == expected
    except ValueError:
        return False


def video_devices(folder: Path = Path("/sys/class/video4linux")) -> Iterator[Found]:
    """The cameras that the kernel knows, by device file and name."""
    for device in sorted(folder.glob("video*")):
        name = device / "name"
        said = name.read_text().strip() if name.is_file() else "camera"
        path = f"/dev/{device.name}"
        yield Found("video", path, said, f'kind = "camera", source = "{path}"')


def on_buses(buses: Iterable[I2CBus]) -> Iterator[Found]:
    """As `on_i2c` for every bus; one that cannot be used is named and the others go on."""
    for bus in buses:
        try:
            yield from on_i2c(bus)
        except SensorError as error:
            yield Found("i2c", bus.path, str(error), error.hint)
        finally:
            bus.close()
