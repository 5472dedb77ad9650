"""Bytes to frames: COBS between zero delimiters, closed by a CRC-16. See PROTOCOL.md, "Frames".

COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM ToN 7(2), 1999.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections import deque
from dataclasses import dataclass

from firmware_bridge.errors import LocalProtocolError

DELIMITER = b"\0"
MAX_BODY_BYTES = 4096
"""Longest body (type, sequence, payload) that either side may send."""
CRC_BYTES = 2
CRC_START = 0xFFFF
"""CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected. `crc_hqx` has that polynomial."""
_BLOCK = 254
_LONGEST = MAX_BODY_BYTES + CRC_BYTES + (MAX_BODY_BYTES + CRC_BYTES) // _BLOCK + 1


@dataclass(slots=True)
class Counters:
    """What the line did to us. Every byte received ends in a frame or in one of these."""

    bytes: int = 0
    frames: int = 0
    """Frames with a right CRC."""
    framing_errors: int = 0
    """Runs between two delimiters that are not COBS, or too short to be a frame."""
    crc_errors: int = 0
    overflows: int = 0
    """Runs longer than any frame, thrown away up to the next delimiter."""
    dropped_frames: int = 0
    """Frames thrown away because the caller did not drain `next_event`."""
    lost_frames: int = 0
    """Holes in the peer's frame sequence."""
    unknown_frames: int = 0
    """Intact frames of a type that this version does not know."""
    stray_frames: int = 0
    """Intact frames that came too late or too early for the state; harmless."""

    @property
    def errors(self) -> int:
        """What the line damaged: the number to publish."""
        return self.framing_errors + self.crc_errors + self.overflows


def cobs_encode(data: bytes) -> bytes:
    """Return `data` without zero bytes: at most one byte longer per 254, and one."""
    out: list[bytes] = []
    run = b""
    for run in data.split(DELIMITER):
        rest = run
        while len(rest) >= _BLOCK:
            out += (b"\xff", rest[:_BLOCK])
            rest = rest[_BLOCK:]
        out += (_CODES[len(rest)], rest)
    if run and len(run) % _BLOCK == 0:
        del out[-2:]  # data that ends with a full block needs no closing code byte
    return b"".join(out)


_CODES = [bytes([n + 1]) for n in range(_BLOCK)]


def cobs_decode(data: bytes | bytearray) -> bytearray | None:
    """Undo `cobs_encode`; None where `data` (without zero bytes) is not the output of an encoder.

    Every code byte is turned into the zero that it stands for, in place: one step per zero of the
    original, not per byte. That is what makes plain Python fast enough (see benchmarks/bridge.py).
    """
    out = bytearray(data)
    size = len(out)
    at = 0
    joins: list[int] = []
    while at < size:
        code = out[at]
        if not code:
            return None
        out[at] = 0
        at += code
        if code > _BLOCK:
            joins.append(at)  # a full block: the next code byte stands for no zero
    if at != size or not size:
        return None
    for join in reversed(joins):
        if join < size:
            del out[join]
    del out[0]
    return out


def encode_frame(body: bytes) -> bytes:
    """Return the line bytes of one frame, its delimiter last."""
    if len(body) > MAX_BODY_BYTES:
        raise LocalProtocolError(f"a frame body of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}")
    crc = crc_hqx(body, CRC_START)
    return cobs_encode(body + crc.to_bytes(CRC_BYTES, "little")) + DELIMITER


class Framer:
    """Line bytes in, frame bodies out. Never raises for what the line carries; memory is bounded."""

    def __init__(self, counters: Counters, *, max_pending_bytes: int = 1 << 20) -> None:
        self._counters = counters
        self._partial = bytearray()
        self._pending: deque[bytes | bytearray] = deque()
        self._pending_bytes = 0
        self._max_pending_bytes = max_pending_bytes
        self._discarding = False

    def receive_data(self, data: bytes) -> None:
        """Cut `data` at its delimiters and keep the runs for `next_body`."""
        self._counters.bytes += len(data)
        first, *rest = data.split(DELIMITER)
        self._extend_partial(first)
        if not rest:
            return
        *runs, last = rest
        if not self._discarding:
            self._keep(bytes(self._partial))
        self._partial.clear()
        self._discarding = False
        for run in runs:
            self._keep(run)
        self._extend_partial(last)

    def next_body(self) -> bytearray | None:
        """Return the next body with a right CRC, or None when there is none: feed more."""
        while self._pending:
            run = self._pending.popleft()
            self._pending_bytes -= len(run)
            frame = cobs_decode(run)
            if frame is None or len(frame) <= CRC_BYTES:
                self._counters.framing_errors += 1
                continue
            crc = int.from_bytes(frame[-CRC_BYTES:], "little")
            del frame[-CRC_BYTES:]
            if crc_hqx(frame, CRC_START) != crc:
                self._counters.crc_errors += 1
                continue
            self._counters.frames += 1
            return frame
        return None

    def _extend_partial(self, data: bytes) -> None:
        if self._discarding:
            return
        self._partial += data
        if len(self._partial) > _LONGEST:
            self._counters.overflows += 1
            self._partial.clear()
            self._discarding = True

    def _keep(self, run: bytes) -> None:
        """Queue one run; the oldest go first where the caller does not drain."""
        if not run:
            return
        if len(run) > _LONGEST:
            self._counters.overflows += 1
            return
        self._pending.append(run)
        self._pending_bytes += len(run)
        while self._pending_bytes > self._max_pending_bytes:
            self._pending_bytes -= len(self._pending.popleft())
            self._counters.dropped_frames += 1
