"""ST VL53L5CX: a picture of 8 by 8 distances, from a processor that gets its firmware at every start.

User manual UM2884 for what it measures. The pages, the order of the start and the layout of commands and
results are those of ST's ultra lite driver 1.x (STSW-IMG023), which is the only description of them.

A command is a message that ends at 0x2FFF: blocks, a word that ends them, and a word with the kind of the
command and its length. A block is a word with its index (16 bits), its size (12) and the bytes of an element
(4; 0 where the size is in bytes), and its data. Every word goes over the bus with its highest byte first.
"""

from __future__ import annotations

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Driver, Reading, Registers, Wait
from edge_agent.sensors.i2c.vl53 import ADDRESS, is_vl53l0x, not_the_chip, refuse_vl53l0x, until
from edge_agent.sensors.i2c.vl53l5cx_firmware import Firmware, installed_firmware

PAGE = 0x7FFF
SYSTEM, PROCESSOR, COMMANDS, MEMORY = 0x00, 0x01, 0x02, 0x09
IDENTITY = b"\xf0\x02"
STATE, FAULT, MEMORY_GRANTED = 0x06, 0x07, 0x21
MEMORY_PAGE_BYTES = 0x8000
CHUNK_BYTES = 0x1000
"""Linux takes no more than 8192 bytes in a message."""
STATUS, ANSWER, COMMAND_END = 0x2C00, 0x2C04, 0x3000
DONE, FACTORY_DATA_ID, PROCESSOR_FAULT = 0x03, 0x02, 0x7F

# Indices of settings and results.
RESULT_SIZE, ZONES, RATE = 0x5440, 0x5450, 0x5458
RANGING_MODE, SPAD_CHOICE, SINGLE_SHOT, OUTPUT_CONFIG = 0xAD30, 0xAD38, 0xCD5C, 0xCD60
OUTPUT_ENABLES, OUTPUT_LIST, PIPE_CONTROL = 0xCD68, 0xCD78, 0xCF78
TARGETS, DISTANCES, TARGET_STATUS = 0xCF7C, 0xD33C, 0xD47C
OUTPUTS = (
    0x0000000D, 0x54B400C0, 0x54C00040, 0x54D00104, 0x55D00404, 0xCF7C0401,
    0xCFBC0404, 0xD2BC0402, 0xD33C0402, 0xD43C0401, 0xD47C0401, 0xCC5008C0,
)  # fmt: skip
"""The blocks that it can put out; the first three always are."""
ENABLED = 0b111 | sum(
    1 << i for i, word in enumerate(OUTPUTS) if word >> 16 in (TARGETS, DISTANCES, TARGET_STATUS)
)
ALWAYS_ENABLED = 0xC0000000
HEADER_BYTES, FRAME_BYTES = 16, 20
END_OF_BLOCKS = b"\x00\x00\x00\x0f"
FACTORY_DATA_BYTES = 492

ZONE_COUNT = 64
FASTEST_HZ = 15
"""At 8 by 8 (UM2884, ranging frequency)."""
TRUSTED = (5, 9)
"""Target status: valid, and valid with a large pulse (UM2884, results interpretation)."""
NOTHING_YET = COUNTS = 255
CHANNELS = tuple(Channel(f"px_{i:02d}", "m") for i in range(ZONE_COUNT))

# The start, as registers (four digits) and values (two).
REBOOT = "7fff00 000904 000f40 000a03 000c01 010100 010200 010a01 400201 400200 010a03 010301 000c00 000f43"
REBOOTED = "000f40 000a01"
POWER_UP = (
    "7fff00 000c01 010100 010200 010a01 400201 400200 010a03 010301 400f00 021a43 021a03 021a01 021a00 021900"
    " 021b00 000c00 7fff01 002007 002006"
)
ASK_FOR_MEMORY = "7fff02 00030d 7fff01"
RUN = "7fff00 000c01 011400 011500 011642 011700 000b00 000c00 000b01"
STREAM = "7fff00 000905 7fff02"


class Vl53l5cx:
    """`px_00` to `px_63` are zones 0 to 63, row by row as UM2884 numbers them."""

    channels = CHANNELS

    def __init__(
        self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait, firmware: Firmware
    ) -> None:
        self._chip = Registers(bus, address, index_bytes=2)
        self._wait = wait
        self._firmware = firmware
        self._rate = min(FASTEST_HZ, max(1, round(rate_hz or FASTEST_HZ)))
        self._frame_bytes = 0
        self._count = NOTHING_YET
        self.rate_hz = float(self._rate)
        self.poll_s = 0.25 / self.rate_hz  # soon enough to have read a frame before the next one replaces it

    def start(self) -> None:
        """See Driver. Sends the firmware: 2 s at 400 kHz, 8 s at 100 kHz."""
        self._identify()
        self._boot()
        self._configure()
        self._start_ranging()

    def read(self) -> Reading | None:
        """See Driver."""
        head = self._chip.read(0, 4)
        if head[3] & 0x80:
            raise SensorError(f"the VL53L5CX's processor reports the fault 0x{head[2]:02x}")
        if head[0] in (self._count, NOTHING_YET) or not is_frame(head):
            return None
        frame = self._chip.read(0, self._frame_bytes)
        lost = 0 if self._count == NOTHING_YET else (frame[0] - self._count - 1) % COUNTS
        self._count = frame[0]
        blocks = parse_frame(frame, {TARGETS, DISTANCES, TARGET_STATUS})
        quarters_mm = np.frombuffer(blocks[DISTANCES], "<i2")
        status = np.frombuffer(blocks[TARGET_STATUS], np.uint8)
        seen = (np.frombuffer(blocks[TARGETS], np.uint8) > 0) & np.isin(status, TRUSTED)
        distance_m = np.where(seen, np.maximum(quarters_mm, 0) / 4000, np.nan)
        return Reading(distance_m.astype(np.float32)[np.newaxis], lost)

    def _identify(self) -> None:
        chip = self._chip
        refuse_vl53l0x(chip.bus, chip.address, "VL53L5CX")
        chip.write(PAGE, SYSTEM)
        found = chip.read(0, 2)
        if found != IDENTITY:
            raise not_the_chip(
                chip.address, "VL53L5CX", f"its identity is {found.hex()}, not {IDENTITY.hex()}"
            )

    def _boot(self) -> None:
        self._steps(REBOOT)
        self._wait(0.001)
        self._steps(REBOOTED)
        self._wait(0.1)
        self._chip.write(PAGE, SYSTEM)
        until(lambda: self._chip.read_u8(STATE) == 1, self._wait, 1.0, "the VL53L5CX did not boot")
        self._chip.write(0x0E, 0x01)
        self._ask_for_memory()
        self._steps(POWER_UP)
        program = self._firmware.program
        for start in range(0, len(program), CHUNK_BYTES):
            page, offset = divmod(start, MEMORY_PAGE_BYTES)
            if offset == 0:
                self._chip.write(PAGE, MEMORY + page)
            self._chip.write(offset, *program[start : start + CHUNK_BYTES])
        self._ask_for_memory()
        self._steps(RUN)
        self._await_processor()
        self._chip.write(PAGE, COMMANDS)

    def _ask_for_memory(self) -> None:
        self._steps(ASK_FOR_MEMORY)
        granted = MEMORY_GRANTED
        refused = "the VL53L5CX did not open its memory"
        until(lambda: bool(self._chip.read_u8(granted) & 0x10), self._wait, 1.0, refused)

    def _await_processor(self) -> None:
        """At most half a second, and no longer: some firmware does not tell, and answers all the same."""
        for _ in range(250):
            state = self._chip.read_u8(STATE)
            if state & 0x80:
                raise SensorError(
                    f"the VL53L5CX did not take its firmware: fault 0x{self._chip.read_u8(FAULT):02x}"
                )
            if state & 0x01:
                return
            self._wait(0.002)

    def _configure(self) -> None:
        """8 by 8 zones, ranging all the time, with the factory's offsets and ST's crosstalk."""
        factory = self._read_factory_data()
        self._command(self._firmware.configuration)
        self._set(PIPE_CONTROL, bytes((1, 0, 1, 0)))
        self._change(SPAD_CHOICE, 16, {4: 16, 6: 16, 9: 1})
        self._change(ZONES, 8, {0: 8, 1: 8, 4: 4, 5: 4})
        self._command(factory[8:488] + END_OF_BLOCKS + bytes.fromhex("030101e4"))
        self._command(self._firmware.crosstalk)
        self._change(RATE, 4, {1: self._rate})
        self._change(RANGING_MODE, 8, {1: 1, 3: 3})
        self._set(SINGLE_SHOT, bytes(4))

    def _start_ranging(self) -> None:
        enabled = [bool(ENABLED >> i & 1) for i in range(len(OUTPUTS))]
        words = [sized(word) if on else word for word, on in zip(OUTPUTS, enabled, strict=True)]
        self._frame_bytes = FRAME_BYTES + sum(
            4 + data_bytes(word) for word, on in zip(words, enabled, strict=True) if on
        )
        self._set(OUTPUT_LIST, np.array(words, "<u4").tobytes())
        self._set(OUTPUT_CONFIG, np.array((self._frame_bytes, len(words) + 1), "<u4").tobytes())
        self._set(OUTPUT_ENABLES, np.array((ENABLED, 0, 0, ALWAYS_ENABLED), "<u4").tobytes())
        self._steps(STREAM)
        self._command(bytes((0x00, 0x03, 0x00, 0x00)))
        size = int.from_bytes(self._get(RESULT_SIZE, 12)[8:10], "little")
        if size != self._frame_bytes:
            raise SensorError(f"the VL53L5CX puts out {size} bytes a frame, not {self._frame_bytes}")

    def _steps(self, steps: str) -> None:
        for step in steps.split():
            self._chip.write(int(step[:4], 16), int(step[4:], 16))

    def _command(self, message: bytes) -> None:
        self._chip.write(COMMAND_END - len(message), *message)
        self._await_answer(1, DONE)

    def _await_answer(self, place: int, wanted: int) -> None:
        until(
            lambda: self._status()[place] == wanted, self._wait, 2.0, "the VL53L5CX did not answer a command"
        )

    def _status(self) -> bytes:
        status = self._chip.read(STATUS, 4)
        if status[2] >= PROCESSOR_FAULT:
            raise SensorError(f"the VL53L5CX refused a command: fault 0x{status[2]:02x}")
        return status

    def _read_factory_data(self) -> bytes:
        message = self._firmware.read_factory_data
        self._chip.write(COMMAND_END - len(message), *message)
        self._await_answer(0, FACTORY_DATA_ID)
        return self._chip.read(ANSWER, FACTORY_DATA_BYTES)

    def _get(self, index: int, size: int) -> bytes:
        self._command(block_word(index, size) + END_OF_BLOCKS + bytes((0, 2, 0, 8)))
        return swapped(self._chip.read(ANSWER, 4 + size + 8))[4 : 4 + size]

    def _set(self, index: int, data: bytes) -> None:
        length = (len(data) + 8).to_bytes(2, "big")
        self._command(block_word(index, len(data)) + swapped(data) + END_OF_BLOCKS + b"\x05\x01" + length)

    def _change(self, index: int, size: int, values: dict[int, int]) -> None:
        data = bytearray(self._get(index, size))
        for place, value in values.items():
            data[place] = value
        self._set(index, bytes(data))


def swapped(data: bytes) -> bytes:
    """Words of four bytes, highest byte first -> lowest byte first, and back."""
    return np.frombuffer(data, ">u4").astype("<u4").tobytes()


def block_word(index: int, size: int) -> bytes:
    """The word before a block whose size is in bytes."""
    return (index << 16 | size << 4).to_bytes(4, "big")


def sized(word: int) -> int:
    """A block's word for one element in each zone; unchanged where its size is in bytes."""
    return word & ~0xFFF0 | ZONE_COUNT << 4 if 1 <= word & 0xF < 0xD else word


def data_bytes(word: int) -> int:
    """How many bytes of data follow a block's word."""
    size, element_bytes = word >> 4 & 0xFFF, word & 0xF
    return size * element_bytes if 1 <= element_bytes < 0xD else size


def is_frame(head: bytes) -> bool:
    """Whether these are the first four bytes of a frame: its count, and that it is valid."""
    return bool(head[1] == 0x05 and head[2] & 0x05 == 0x05 and head[3] & 0x10)


def parse_frame(frame: bytes, wanted: set[int]) -> dict[int, bytes]:
    """The data of the wanted blocks, lowest byte first. Raises SensorError where the frame lacks one."""
    words, place = swapped(frame[: len(frame) & ~3]), HEADER_BYTES
    found: dict[int, bytes] = {}
    while place + 4 <= len(words) and found.keys() < wanted:
        word = int.from_bytes(words[place : place + 4], "little")
        place, start = place + 4 + data_bytes(word), place + 4
        if word >> 16 in wanted and data_bytes(word) == data_bytes(sized(word)) and place <= len(words):
            found[word >> 16] = words[start:place]
    if found.keys() != wanted:
        raise SensorError("the VL53L5CX's frame is torn")
    return found


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip. Where the identity was, a chip that a driver has set up shows the head of its frames."""
    try:
        if is_vl53l0x(bus, address):
            return False
        head = Registers(bus, address, index_bytes=2).read(0, 4)
    except OSError:
        return False
    return head[:2] == IDENTITY or is_frame(head)


def make(bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> Driver:
    """See MakeDriver. Raises ConfigurationError where the firmware is not installed."""
    return Vl53l5cx(bus, address, rate_hz, wait, installed_firmware())


CHIP = Chip("vl53l5cx", "depth", "VL53L5CX: 8 by 8 distances up to 4 m", (ADDRESS,), make, identify)
