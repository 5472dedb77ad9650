"""What really arrived: a subscriber that only reads, and a proxy that fails as networks do.

The subscriber speaks just enough MQTT 3.1.1 to subscribe with QoS 0 and writes nothing after that, so what
the broker handed to the kernel before it was killed is read to the last byte. Source: OASIS MQTT 3.1.1, 3.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, Self

from conftest import free_port, wait_for


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


def _text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


class Ear:
    """Everything published below `edge/`, in the order of the broker; ends when the broker does."""

    def __init__(self, port: int, raw: tuple[str, ...] = ()) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
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


class Proxy:
    """Forwards one port to another. `frozen`: reads nothing, keeps the connections; `closed`: takes none."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.frozen = threading.Event()
        self.closed = threading.Event()
        self.delay_s = 0.0
        """How long what the broker says is held back."""
        self._target = target
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._server.settimeout(0.02)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.drop()
        for thread in self._threads:
            thread.join(5)
        self._server.close()

    def drop(self) -> None:
        """Cut every connection."""
        for pair in self._pairs:
            for one in pair:
                one.close()
        self._pairs.clear()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._server.accept()
                if self.closed.is_set():
                    client.close()
                    continue
                broker = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                continue
            self._pairs.append((client, broker))
            for ways in ((client, broker, False), (broker, client, True)):
                thread = threading.Thread(target=self._pump, args=ways, daemon=True)
                thread.start()
                self._threads.append(thread)

    def _pump(self, source: socket.socket, sink: socket.socket, slowly: bool) -> None:
        try:
            source.settimeout(0.02)
            while not self._stop.is_set():
                if self.frozen.is_set():
                    self._stop.wait(0.02)
                    continue
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    break
                if slowly and self.delay_s:
                    self._stop.wait(self.delay_s)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, sink):
                one.close()


def duplicates(ids: list[str]) -> int:
    """How many came more than once too often."""
    return len(ids) - len(set(ids))


def all_heard(ear: Ear, ids: set[str], timeout_s: float = 30.0) -> None:
    wait_for(lambda: ids <= set(ear.ids), timeout_s, f"all of {len(ids)} messages")
