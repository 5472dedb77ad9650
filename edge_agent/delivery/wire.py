"""Waits for a socket, or for the word of another thread, whichever comes first. Knows nothing of MQTT.

Source: tcp(7). Only Linux has its two options; elsewhere they are left out.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Waiter:
    """`wait` is for one thread, `wake` for any."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def wait(self, wire: Any, timeout_s: float, *, to_write: bool) -> tuple[bool, bool]:
        """Whether the socket can be read, and written where there is something to write.

        While a broker's first PUBACK is not acknowledged by TCP, its kernel holds back the next ones (Nagle's
        algorithm), and ours would wait 40 ms with that for something to send: so it shall not. The kernel
        forgets this at every exchange (TCP_QUICKACK).
        """
        if hasattr(wire, "pending") and wire.pending():
            # Already decrypted: the socket itself would not become readable again.
            return True, to_write
        _set(wire, "TCP_QUICKACK", on=True)
        with selectors.DefaultSelector() as selector:
            selector.register(wire, selectors.EVENT_READ | (selectors.EVENT_WRITE if to_write else 0))
            selector.register(self._reader, selectors.EVENT_READ)
            ready = {key.fileobj: mask for key, mask in selector.select(timeout_s)}
        if self._reader in ready:
            self._drain()
        mask = ready.get(wire, 0)
        return bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def wake(self) -> None:
        """End a `wait`; safe also after `close`."""
        # Full: a wake is already on its way. Closed: nobody waits any more.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def close(self) -> None:
        """Free both ends."""
        self._reader.close()
        self._writer.close()


@contextmanager
def corked(wire: Any) -> Iterator[None]:
    """What is sent in this block goes out in as few pieces as TCP can make of it."""
    _set(wire, "TCP_CORK", on=True)
    try:
        yield
    finally:
        _set(wire, "TCP_CORK", on=False)


def _set(wire: Any, option: str, *, on: bool) -> None:
    # A connection that was lost meanwhile has nothing to set.
    with contextlib.suppress(OSError, AttributeError):
        wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(on))
