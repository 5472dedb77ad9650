"""What really arrived, and a proxy that fails as networks do."""

from __future__ import annotations

import socket
import threading
from typing import Self

from conftest import free_port, wait_for

from benchmarks.ear import Ear


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
