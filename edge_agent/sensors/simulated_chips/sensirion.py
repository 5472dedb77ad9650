"""What simulated Sensirion chips share: commands that take time, and answers that are not there before.

SHT3x-DIS data sheet version 5, chapter 4; SCD4x data sheet version 1.3, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_agent.sensors.simulated_chips.chip import NackError

NS_PER_MS = 1_000_000


def checksum(word: int) -> int:
    """Remainder by x^8 + x^5 + x^4 + 1 of the word with its first byte inverted, as long division (4.12)."""
    rest = (word ^ 0xFF00) << 8
    for bit in range(23, 7, -1):
        if rest >> bit & 1:
            rest ^= 0x131 << (bit - 8)
    return rest


class CommandChip:
    """Acknowledges nothing while it is busy, and no read when it has nothing to say.

    `corrupt_next` is a fault: so many of the next words come with a wrong checksum.
    """

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self.monotonic_ns = monotonic_ns
        self.corrupt_next = 0
        self._busy_until_ns = 0
        self._answer: Callable[[], Sequence[int]] | None = None

    def write(self, data: bytes) -> None:
        """A command of two bytes; fewer only address the chip."""
        self._awake()
        if len(data) >= 2:
            self._answer = None
            self.commanded(int.from_bytes(data[:2], "big"))

    def read(self, count: int) -> bytes:
        """The answer to the last command, once; what is read beyond it is the idle bus."""
        self._awake()
        if self._answer is None:
            raise NackError
        words, self._answer = self._answer(), None
        return b"".join(self._framed(word) for word in words).ljust(count, b"\xff")[:count]

    def commanded(self, command: int) -> None:
        """A command has come."""
        raise NotImplementedError

    def busy_for(self, milliseconds: float) -> None:
        """What was commanded takes so long."""
        self._busy_until_ns = self.monotonic_ns() + round(milliseconds * NS_PER_MS)

    def reply(self, words: Callable[[], Sequence[int]]) -> None:
        """Have `words` ready for the read that follows."""
        self._answer = words

    def _framed(self, word: int) -> bytes:
        wrong = self.corrupt_next > 0
        self.corrupt_next -= wrong
        return word.to_bytes(2, "big") + bytes((checksum(word) ^ wrong,))

    def _awake(self) -> None:
        if self.monotonic_ns() < self._busy_until_ns:
            raise NackError
