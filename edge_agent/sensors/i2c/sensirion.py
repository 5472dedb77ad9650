"""How Sensirion's chips talk: 16-bit commands, and 16-bit words that each carry a checksum.

SHT3x-DIS data sheet version 5, 4.1 and 4.12; SCD4x data sheet version 1.3, 3.2 and 3.11.
"""

from __future__ import annotations

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c.bus import I2CBus

POLYNOMIAL, INITIAL = 0x31, 0xFF


def crc8(data: bytes) -> int:
    """The checksum of a word, most significant bit first; that of 0xBEEF is 0x92 (4.12)."""
    crc = INITIAL
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ (POLYNOMIAL if crc & 0x80 else 0)
    return crc & 0xFF


class Commands:
    """A chip that takes commands. A command and the read of its answer are two transactions."""

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address

    def send(self, command: int) -> None:
        """Send a command without arguments."""
        self._bus.write(self._address, command.to_bytes(2, "big"))

    def words(self, count: int) -> list[int]:
        """The answer to the last command, `count` words. SensorError where a checksum does not match."""
        data = self._bus.read(self._address, 3 * count)
        for i in range(0, len(data), 3):
            if crc8(data[i : i + 2]) != data[i + 2]:
                raise SensorError(
                    f"address 0x{self._address:02x} sent a word with a wrong checksum",
                    hint="look at the wires and the pull-ups, or another chip has this address",
                )
        return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 3)]
