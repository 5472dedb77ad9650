"""Where every thread of ours begins and ends, and the signals that ask for the end.

Who owns threads begins them here: the runtime, a recording, one sensor alone, the demo.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

BESIDE_END_S = 2.0


@dataclass(slots=True)
class Worker:
    """A thread and the event that ends it."""

    thread: threading.Thread
    stop: threading.Event


def begin(name: str, run: Callable[[threading.Event], None], stop: threading.Event | None = None) -> Worker:
    """Run `run(stop)` in a thread; the only place where a thread of ours begins.

    Daemon threads: one that hangs in a driver must not keep a process alive that wants to end.
    """
    stop = stop or threading.Event()
    thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
    thread.start()
    return Worker(thread, stop)


def join(workers: Sequence[Worker], timeout_s: float) -> list[str]:
    """Wait for all together; the names of those that are still there."""
    deadline_s = time.monotonic() + timeout_s
    for worker in workers:
        if worker.thread.ident is not None:
            worker.thread.join(max(0.0, deadline_s - time.monotonic()))
    return [worker.thread.name for worker in workers if worker.thread.is_alive()]


@contextmanager
def beside(name: str, run: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `run(stop)` in a thread during the block, which gives it BESIDE_END_S to end."""
    worker = begin(name, run)
    try:
        yield
    finally:
        worker.stop.set()
        join([worker], BESIDE_END_S)


@contextmanager
def signals(stop: Callable[[], None], reload: Callable[[], None] | None = None) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT, and `reload` on SIGHUP, in the block; for the main thread alone."""
    calls = {signal.SIGTERM: stop, signal.SIGINT: stop} | ({} if reload is None else {signal.SIGHUP: reload})

    def handle(number: int, _frame: FrameType | None) -> None:
        calls[signal.Signals(number)]()  # and no more: a handler that logs may interrupt the logging

    before = {number: signal.signal(number, handle) for number in calls}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
