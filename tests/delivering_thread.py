"""A publisher or an edge node at work in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge_agent.delivery.delivery import Delivery


@contextmanager
def at_work(delivery: Delivery, ends_within_s: float = 10) -> Iterator[None]:
    """`run` during the block, then the orderly end that the runtime gives it. It is open already."""
    stop = threading.Event()
    thread = threading.Thread(target=delivery.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        delivery.wake()
        thread.join(ends_within_s)
        delivery.close()
        assert not thread.is_alive()
