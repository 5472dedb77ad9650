"""Messages between the daemon and the language model's worker, over two pipes.

A frame is `u32 size | u32 header size | header | arrays`, little-endian; the header is JSON and names
each array with its shape, the arrays are float32 one after the other. Nothing is unpickled and nothing
is larger than MAX_FRAME_BYTES, so neither side can make the other run code or fill its memory.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_agent.errors import LanguageModelError
from edge_agent.types import Float32

MAX_FRAME_BYTES = 4 << 20
_SIZES = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a verb with its fields, and arrays by name."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Float32] = field(default_factory=dict)


def encode(frame: Frame) -> bytes:
    """The bytes of a frame. Raises LanguageModelError when it is too large."""
    shapes = {name: list(a.shape) for name, a in frame.arrays.items()}
    header = json.dumps({**frame.header, "arrays": shapes}).encode("utf-8")
    payload = b"".join(np.ascontiguousarray(a, dtype="<f4").tobytes() for a in frame.arrays.values())
    size = 4 + len(header) + len(payload)
    if size > MAX_FRAME_BYTES:
        raise LanguageModelError(f"a message of {size} bytes, at most {MAX_FRAME_BYTES} are sent")
    return _SIZES.pack(size, len(header)) + header + payload


class Decoder:
    """Bytes in, frames out. Raises LanguageModelError at bytes that are no frame; then start over."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, None until more bytes have come."""
        if len(self._buffer) < _SIZES.size:
            return None
        size, header_size = _SIZES.unpack_from(self._buffer)
        if not 4 + header_size <= size <= MAX_FRAME_BYTES:
            raise LanguageModelError(f"a frame of {size} bytes with a header of {header_size}")
        if len(self._buffer) < 4 + size:
            return None
        body = bytes(self._buffer[_SIZES.size : 4 + size])
        del self._buffer[: 4 + size]
        return _parse(body, header_size)


def _parse(body: bytes, header_size: int) -> Frame:
    try:
        header = json.loads(body[:header_size])
        shapes: dict[str, list[int]] = header.pop("arrays")
        arrays, offset = {}, header_size
        for name, shape in shapes.items():
            count = int(np.prod(shape, dtype=np.int64))
            arrays[name] = np.frombuffer(body, dtype="<f4", count=count, offset=offset).reshape(shape)
            offset += 4 * count
        if offset != len(body):
            raise ValueError(f"{len(body) - offset} bytes left over")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LanguageModelError(f"a frame that cannot be read: {error}") from error
    return Frame(header, arrays)
