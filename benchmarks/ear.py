"""What really arrived: a subscriber that only reads.

It speaks just enough MQTT 3.1.1 to subscribe with QoS 0 and writes nothing after that, so what the broker
handed to the kernel before it was killed is read to the last byte. Source: OASIS MQTT 3.1.1, 3.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


def _text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


class Ear:
    """Everything published below `edge/`, in the order of the broker; ends when the broker does."""

    def __init__(self, port: int, raw: tuple[str, ...] = ()) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.heard_s: list[float] = []
        """When each of them came, on the monotonic clock."""
        self._raw = raw  # topics of what is no JSON
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.settimeout(None)
        name = _text(f"ear-{id(self)}")
        self._socket.sendall(_packet(0x10, _text("MQTT") + b"\x04\x02\0\0" + name))
        assert self._socket.recv(4, socket.MSG_WAITALL) == b"\x20\x02\0\0"
        self._socket.sendall(_packet(0x82, b"\0\x01" + _text("edge/#") + b"\0"))
        assert self._socket.recv(5, socket.MSG_WAITALL) == b"\x90\x03\0\x01\0"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._socket.makefile("rb") as stream:
            try:
                for topic, payload in self._messages(stream):
                    self.heard_s.append(time.monotonic())
                    self.heard.append((topic, {} if topic in self._raw else json.loads(payload)))
            except OSError:
                return  # the broker died

    @staticmethod
    def _messages(stream: Any) -> Iterator[tuple[str, bytes]]:
        while head := stream.read(1):
            length = shift = 0
            while True:
                (digit,) = stream.read(1) or (0,)
                length |= (digit & 127) << shift
                shift += 7
                if digit < 128:
                    break
            body = stream.read(length)
            if head[0] >> 4 == 3 and len(body) == length:
                end = 2 + int.from_bytes(body[:2], "big")
                yield body[2:end].decode(), body[end:]

    @property
    def ids(self) -> list[str]:
        """The delivery id of every stamped message, in order, as often as it came."""
        return [body["delivery"]["id"] for _, body in list(self.heard) if "delivery" in body]

    def close(self) -> list[str]:
        """The ids, after the broker was killed or nothing more is awaited."""
        self._thread.join(0.3)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        assert not self._thread.is_alive()
        return self.ids
