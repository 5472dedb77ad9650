"""Just enough of an MQTT 5 broker to refuse what a test says. Source: OASIS MQTT 5.0, 3."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

ACCEPTED, PACKET_TOO_LARGE, QUOTA_EXCEEDED = 0x00, 0x95, 0x97
Decide = Callable[[str, bytes], int]
"""(topic, payload) -> the reason code of its PUBACK; PACKET_TOO_LARGE ends the connection."""


class RefusingBroker:
    """Takes one client at a time; `heard` is (topic, payload, reason code), in order."""

    def __init__(self, decide: Decide, maximum_bytes: int | None = None) -> None:
        self.heard: list[tuple[str, bytes, int]] = []
        self.connections = 0
        self._decide = decide
        self._maximum_bytes = maximum_bytes
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self.port = self._server.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._server.close()

    @property
    def accepted(self) -> list[tuple[str, bytes]]:
        return [(topic, payload) for topic, payload, reason in list(self.heard) if reason == ACCEPTED]

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                client, _ = self._server.accept()
                client.settimeout(0.05)
                with client:
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        received = b""
        while not self._stop.is_set():
            try:
                data = client.recv(65536)
            except TimeoutError:
                continue
            if not data:
                return
            received += data
            while (packet := _first(received)) is not None:
                head, body, received = packet
                answer = self._answer(head, body)
                client.sendall(answer)
                if answer[:1] == b"\xe0":
                    return

    def _answer(self, head: int, body: bytes) -> bytes:
        match head >> 4:
            case 1:
                self.connections += 1
                limit = self._maximum_bytes
                properties = b"" if limit is None else b"\x27" + limit.to_bytes(4, "big")
                return bytes([0x20, 3 + len(properties), 0, 0, len(properties)]) + properties
            case 3:
                return self._publish(body)
            case 12:
                return b"\xd0\0"
            case _:
                return b""

    def _publish(self, body: bytes) -> bytes:
        end = 2 + int.from_bytes(body[:2], "big")
        topic, identity, rest = body[2:end].decode(), body[end : end + 2], body[end + 2 :]
        payload = rest[1 + rest[0] :]  # properties of fewer than 128 bytes
        reason = self._decide(topic, payload)
        self.heard.append((topic, payload, reason))
        if reason == PACKET_TOO_LARGE:
            return bytes([0xE0, 2, reason, 0])
        return b"\x40\x03" + identity + bytes([reason])


def _first(received: bytes) -> tuple[int, bytes, bytes] | None:
    """(first byte, body, what follows) of the first packet, if it is whole."""
    length = shift = 0
    for at, digit in enumerate(received[1:5], 2):
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            if len(received) < at + length:
                return None
            return received[0], received[at : at + length], received[at + length :]
    return None
