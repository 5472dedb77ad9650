"""A simulated VL53L5CX: does nothing without its firmware, obeys commands in blocks, and puts out frames.

After ST's ultra lite driver 1.x (STSW-IMG023) and UM2884. Its memory takes a program only when the host was
let in; a program with holes does not boot; settings are refused while it ranges; when the factory's offsets
are not sent back to it, it measures wrong.
"""

from __future__ import annotations

import struct

import numpy as np

from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock, Float32

PAGE_REGISTER, COMMAND_END, STATUS, ANSWER = 0x7FFF, 0x3000, 0x2C00, 0x2C04
PROGRAM_BYTES, MEMORY_PAGES = 0x15000, (0x09, 0x0A, 0x0B)
ROM_BOOT_NS, PROGRAM_BOOT_NS, COMMAND_NS = 20_000_000, 10_000_000, 2_000_000
BAD_PROGRAM, REFUSED = 0xC5, 0x7F
FACTORY, FACTORY_END = 0x9E14, 0x9FD8
OFFSET_WITHOUT_FACTORY_DATA_M = 0.03
FARTHEST_M = 4.0
VALID, NOT_CHECKED = 5, 6
END = 0x0000000F


class SimulatedVl53l5cx:
    """`signal` gives the distances of 64 zones in metres; one that is NaN has no target.

    `fault` is a code that its processor reports instead of results while it is set.
    """

    def __init__(self, clock: Clock, signal: Signal, seed: int = 0) -> None:
        self.fault = 0
        self._monotonic_ns = clock.monotonic_ns
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._factory = np.random.default_rng(seed).bytes(FACTORY_END - FACTORY)
        self._page = 0
        self._pointer = 0
        self._system = {0x00: 0xF0, 0x01: 0x02, 0x09: 0x04}
        self._rom_up_ns = self._born_ns
        self._power_off()

    def write(self, data: bytes) -> None:
        """Two bytes of index, then the bytes from there on; 0x7FFF chooses the page."""
        if len(data) < 2:
            return
        index, values = int.from_bytes(data[:2], "big"), data[2:]
        self._pointer = index + len(values)
        if index == PAGE_REGISTER and values:
            self._page = values[0]
        elif self._page == 0:
            for place, value in enumerate(values, index):
                self._control(place, value)
        elif self._page in MEMORY_PAGES and self._open:
            start = MEMORY_PAGES.index(self._page) * 0x8000 + index
            self._filled[start : start + len(values)] = b"\1" * len(values)
        elif self._page == 2:
            self._talk(index, values)

    def read(self, count: int) -> bytes:
        """From the pointer on, which moves along."""
        start, self._pointer = self._pointer, self._pointer + count
        if self._page == 2 and self._running():
            shown = self._output() if start < STATUS else self._answers()
            base = 0 if start < STATUS else STATUS
            return shown[start - base : start - base + count].ljust(count, b"\0")
        return bytes(self._register(place) for place in range(start, start + count))

    def _power_off(self) -> None:
        """Everything that a reboot forgets."""
        self._open = False
        self._filled = bytearray(len(MEMORY_PAGES) * 0x8000)
        self._program_up_ns: int | None = None
        self._bad_program = False
        self._settings = bytearray(0x10000)
        self._commands = bytearray(COMMAND_END)
        self._answer = b""
        self._state = bytes(4)
        self._answered_ns = 0
        self._ranging_ns: int | None = None

    def _running(self) -> bool:
        return self._program_up_ns is not None and self._monotonic_ns() >= self._program_up_ns

    def _register(self, place: int) -> int:
        if self._page == 0:
            booted = self._monotonic_ns() >= self._rom_up_ns
            if place == 0x06:
                ready = self._running() if self._program_up_ns is not None else booted and not self._held()
                return 0x80 if self._bad_program else int(ready)
            if place == 0x07:
                return BAD_PROGRAM if self._bad_program else 0
            return self._system.get(place, 0)
        return 0x10 if self._page == 1 and place == 0x21 and self._open else 0

    def _held(self) -> bool:
        return self._system.get(0x0B) == 0

    def _control(self, place: int, value: int) -> None:
        """Page 0: 0x0A switches the processor's power, 0x0B lets it run what is in its memory."""
        if place <= 0x01:  # the identity
            return
        before = self._system.get(place)
        self._system[place] = value
        if place == 0x0A and value == 0x01 and before == 0x03:
            self._power_off()
            self._system.pop(0x0B, None)
            self._rom_up_ns = self._monotonic_ns() + ROM_BOOT_NS
        elif place == 0x0B and value == 1 and before == 0 and not self._system.get(0x0C):
            self._bad_program = not all(self._filled[:PROGRAM_BYTES])
            if not self._bad_program:
                self._program_up_ns = self._monotonic_ns() + PROGRAM_BOOT_NS

    def _talk(self, index: int, values: bytes) -> None:
        """Page 2: 0x03 asks for the memory; what ends at 0x2FFF is a command."""
        if index == 0x03 and values[:1] == b"\x0d":
            self._open = self._monotonic_ns() >= self._rom_up_ns
        if not self._running():
            return
        self._commands[index : index + len(values)] = values
        if index + len(values) == COMMAND_END:
            name, kind, size = struct.unpack(">BBH", self._commands[-4:])
            self._answered_ns = self._monotonic_ns() + COMMAND_NS
            obeyed = self._obey(kind, bytes(self._commands[-4 - size : -4]))
            self._state = bytes((name, 3, 0 if obeyed else REFUSED, 0))

    def _obey(self, kind: int, message: bytes) -> bool:
        if kind == 3:
            self._ranging_ns = self._monotonic_ns()
            self._set(0x5440, bytes(8) + struct.pack("<HH", len(self._frame(0, 0)), 0))
            return True
        if message[-4:] != struct.pack(">I", END) or kind not in (1, 2):
            return False
        if kind == 1:
            return self._ranging_ns is None and self._take(message)
        self._answer = b"".join(self._shown(*word) for word in struct.iter_unpack(">I", message[:-4]))
        self._answer += message[-4:] + bytes(4)
        return True

    def _take(self, message: bytes) -> bool:
        place = 0
        while (word := int.from_bytes(message[place : place + 4], "big")) != END:
            size = _data_bytes(word)
            self._set(word >> 16, _swapped(message[place + 4 : place + 4 + size]))
            place += 4 + size
            if place >= len(message):
                return False
        return True

    def _shown(self, word: int) -> bytes:
        index, size = word >> 16, _data_bytes(word)
        data = bytes(self._settings[index : index + size])
        if FACTORY <= index < FACTORY_END:
            data = self._factory[index - FACTORY : index - FACTORY + size]
        return struct.pack(">I", word) + _swapped(data)

    def _set(self, index: int, data: bytes) -> None:
        self._settings[index : index + len(data)] = data

    def _answers(self) -> bytes:
        if self._monotonic_ns() < self._answered_ns:
            return bytes(4) + self._answer
        return self._state + self._answer

    def _output(self) -> bytes:
        """The newest frame. Its count goes from 0 to 254."""
        if self.fault:
            return bytes((0xFF, 0x05, self.fault, 0x81))
        if self._ranging_ns is None:
            return b"\xff\0\0\0"
        zones = self._settings[0x5450] * self._settings[0x5451]
        rate_hz = min(self._settings[0x5459], 15 if zones == 64 else 60)
        done = int((self._monotonic_ns() - self._ranging_ns) * 1e-9 * rate_hz)
        if not done:
            return b"\xff\0\0\0"
        return self._frame(done, (self._ranging_ns - self._born_ns) * 1e-9 + done / rate_hz)

    def _frame(self, done: int, seconds: float) -> bytes:
        """Header, the blocks that the host's list enables, footer."""
        distances_m = self._measured(seconds)
        enables = int.from_bytes(self._settings[0xCD68:0xCD6C], "little")
        words = [word for (word,) in struct.iter_unpack("<I", self._settings[0xCD78 : 0xCD78 + 48])]
        blocks = b"".join(
            struct.pack(">I", word) + _swapped(self._block(word, distances_m, done))
            for i, word in enumerate(words)
            if enables >> i & 1
        )
        head = bytes(((done - 1) % 255, 0x05, 0x05, 0x10)) + bytes(8)
        return head + blocks + struct.pack(">I", END) + bytes(4)

    def _measured(self, seconds: float) -> Float32:
        distances_m = np.asarray(self._signal(seconds), np.float32)
        if (
            self._settings[0x5450] == 4
        ):  # the offsets of 16 zones are the host's own means of the factory's 64
            distances_m = distances_m.reshape(4, 2, 4, 2).mean((1, 3)).ravel()
        elif bytes(self._settings[FACTORY:FACTORY_END]) != self._factory:
            distances_m = distances_m + np.float32(OFFSET_WITHOUT_FACTORY_DATA_M)
        return np.where(distances_m <= FARTHEST_M, distances_m, np.nan)

    def _block(self, word: int, distances_m: Float32, done: int) -> bytes:
        seen = ~np.isnan(distances_m)
        match word >> 16:
            case 0xCF7C:
                return seen.astype(np.uint8).tobytes()
            case 0xD33C:
                quarters_mm = np.clip(np.rint(np.nan_to_num(distances_m) * 4000), -32768, 32767)
                return quarters_mm.astype("<i2").tobytes()
            case 0xD47C:
                return np.where(seen, VALID if done > 1 else NOT_CHECKED, 0).astype(np.uint8).tobytes()
        return bytes(_data_bytes(word))


def _data_bytes(word: int) -> int:
    size, element = word >> 4 & 0xFFF, word & 0xF
    return size * element if 0 < element < 13 else size


def _swapped(data: bytes) -> bytes:
    """The bytes of each word the other way round."""
    return b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))


def passer_by(seed: int) -> Signal:
    """Somebody who walks through the picture, before a wall."""
    rng = np.random.default_rng(seed)
    wall_m, phase = rng.uniform(2.0, 3.0), rng.uniform(0, 2 * np.pi)
    columns = np.arange(8)

    def signal(seconds: float) -> Float32:
        middle = 3.5 + 5.0 * np.sin(seconds * 0.9 + phase)
        body = np.exp(-(((columns - middle) / 1.2) ** 2))
        return np.tile(wall_m - (wall_m - 1.0) * body, 8).astype(np.float32)

    return signal


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks through the picture."""
    return passer_by(seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedVl53l5cx:
    """See chips.Simulate."""
    return SimulatedVl53l5cx(clock, signal or invented(seed), seed)
