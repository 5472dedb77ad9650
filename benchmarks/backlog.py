"""A day's backlog behind live data: `python -m benchmarks.backlog [--messages 86400] [--live 20]`.

The outbox holds a message for every second of a day without a broker. Then the broker is there: how long all
of it takes while live messages are made at a steady rate, and how late those are at a subscriber, each from
its `accept` on. Checked by id and order; the exit code is 1 where one was lost, came twice or out of turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.broker import ROOMY, Broker, program
from benchmarks.ear import Ear
from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import Publisher
from edge_agent.delivery.room import Limits

A_DAY = 86_400
MAX_BYTES = 256 * 1024 * 1024
"""The agent's default."""
_FILLER = "x" * 600
_BATCH = 100
_PATIENCE_S = 600.0
_LAST_S = 30.0
_LIMITS = Limits(MAX_BYTES, dict.fromkeys(Kind, 3 * 86_400.0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """`latency_ms` (L,) of the live messages, accepted while there was a backlog."""

    messages: int
    took_s: float
    latency_ms: np.ndarray
    lost: int
    duplicates: int
    in_order: bool
    """The backlog in its own order, the live ones in theirs."""
    marked: bool
    """The backlog as historical, and of the live ones none that was accepted on a connection that stood."""

    @property
    def kept(self) -> bool:
        """Whether everything is as promised."""
        return not self.lost and not self.duplicates and self.in_order and self.marked

    def __str__(self) -> str:
        """For people."""
        p50_ms, p99_ms = np.percentile(self.latency_ms, (50, 99)) if len(self.latency_ms) else (0.0, 0.0)
        order = "in order" if self.in_order else "OUT OF ORDER"
        return (
            f"{self.messages:,} messages in {self.took_s:.1f} s ({self.messages / self.took_s:,.0f}/s), "
            f"{self.lost} lost, {self.duplicates} duplicates, {order}; "
            f"{len(self.latency_ms)} live ones beside them, accept to subscriber p50 {p50_ms:.1f} ms, "
            f"p99 {p99_ms:.1f} ms"
        )


def fill(path: Path, count: int) -> set[str]:
    """An outbox with `count` messages as large as a percept; their ids."""
    outbox = Outbox(path, _LIMITS, SystemClock())
    outbox.open()
    ids: set[str | None] = set()
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        bodies = [json.dumps({"n": n, "live": False, "filler": _FILLER}).encode() for n in numbers]
        ids |= set(
            outbox.accept_all([Message("edge/n/telemetry", body, source="telemetry") for body in bodies])
        )
    outbox.close()
    if None in ids:
        raise RuntimeError(f"the measurement is void: {count} messages are more than the outbox takes")
    return {identity for identity in ids if identity}


def drain(path: Path, port: int, waiting: set[str], live_hz: float) -> Outcome:
    """Deliver all that waits in `path`, with live messages beside it until all of it came."""
    ear = Ear(port)
    publisher = Publisher(
        Mqtt(host="127.0.0.1", port=port), client_id="backlog", outbox=Outbox(path, _LIMITS, SystemClock())
    )
    publisher.open()
    outbox = publisher.outbox
    assert outbox is not None, publisher.status.storage
    stop, pause = threading.Event(), threading.Event()
    thread = threading.Thread(target=publisher.run, args=(stop,), daemon=True)
    live: set[str] = set()
    begun_s = time.monotonic()
    thread.start()
    try:
        while not publisher.status.connected:
            pause.wait(0.001)
        while len(ear.heard) < len(waiting) + len(live) and time.monotonic() - begun_s < _PATIENCE_S:
            body = {"n": len(live), "live": True, "at_s": time.monotonic(), "filler": _FILLER}
            message = Message("edge/n/telemetry", json.dumps(body).encode(), source="telemetry")
            live |= {identity for identity in outbox.accept_all([message]) if identity}
            publisher.wake()
            pause.wait(1 / live_hz)
        took_s = time.monotonic() - begun_s
        end_s = time.monotonic() + _LAST_S
        while time.monotonic() < end_s and (outbox.queued or len(ear.heard) < len(waiting) + len(live)):
            pause.wait(0.01)
    finally:
        stop.set()
        publisher.wake()
        thread.join(10)
        publisher.close()
    return judge(ear, waiting | live, took_s, len(waiting))


def judge(ear: Ear, accepted: set[str], took_s: float, messages: int) -> Outcome:
    """Hold what was heard against what was accepted."""
    ids = ear.close()
    heard = [(body, at_s) for (_, body), at_s in zip(ear.heard, ear.heard_s, strict=True)]
    old = [body for body, _ in heard if not body["live"]]
    live = [(body, at_s) for body, at_s in heard if body["live"]]
    numbers = [body["n"] for body in old], [body["n"] for body, _ in live]
    return Outcome(
        messages=messages,
        took_s=took_s,
        latency_ms=np.array([(at_s - body["at_s"]) * 1e3 for body, at_s in live]),
        lost=len(accepted - set(ids)),
        duplicates=len(ids) - len(set(ids)),
        in_order=all(some == sorted(some) for some in numbers),
        marked=all(body["delivery"]["historical"] for body in old)
        and not any(body["delivery"]["historical"] for body, _ in live),
    )


def main() -> int:
    """Print what came of it; exit code 1 where it is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=A_DAY, help=f"that wait (default: {A_DAY}, a day)")
    parser.add_argument("--live", type=float, default=20.0, help="live messages a second (default: 20)")
    parser.add_argument("--folder", help="where the outbox is (default: the system's for temporary)")
    options = parser.parse_args()
    if program() is None:
        print("backlog: needs mosquitto (apt install mosquitto)", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as name, Broker(Path(name), ROOMY) as broker:
        path = Path(name) / "outbox.sqlite"
        waiting = fill(path, options.messages)
        outcome = drain(path, broker.port, waiting, options.live)
    print(f"backlog: {outcome}{'' if outcome.kept else '; NOT as promised'}")
    return int(not outcome.kept)


if __name__ == "__main__":
    sys.exit(main())
