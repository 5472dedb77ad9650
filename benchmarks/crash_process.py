"""Small processes with the real outbox and publisher, killed at random points or under another clock.

`python -m benchmarks.crash_process crash FOLDER PORT SEED ROUNDS` forks one after the other and kills each
with SIGKILL; it says `killed` then and goes on when a line comes on stdin. `fill FOLDER COUNT` accepts
messages and ends without a broker; `drain FOLDER PORT` delivers what waits. What `accept` returned is written
to FOLDER/journal, one id a line, right after it returned. In the end a JSON object on stdout says what the
books are.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import Publisher
from edge_agent.delivery.room import Limits

OPENING_S = 0.05
"""One in five dies within this time of its birth, most likely while it opens the file."""
MOST_IDS = 60
"""The others die after so many ids at most, wherever they are then."""
LIMITS = Limits(50_000_000, {Kind.TELEMETRY: 3600, Kind.ANSWER: 3600, Kind.EVENT: 3600})


def say(n: int, kind: Kind) -> Message:
    """A message of some hundred bytes."""
    body = json.dumps({"n": n, "pid": os.getpid(), "filler": "x" * (n * 37 % 700)}).encode()
    return Message(f"edge/n/{kind.name.lower()}", body, kind=kind, source=kind.name.lower())


def publisher_of(folder: Path, port: int) -> Publisher:
    """As an agent has it, but hasty to reconnect."""
    outbox = Outbox(folder / "outbox.sqlite", LIMITS, SystemClock())
    state = Message("edge/n/state", json.dumps({"born": os.getpid()}).encode(), retain=True)
    return Publisher(
        Mqtt(host="127.0.0.1", port=port),
        client_id="crashing",
        birth=state,
        will=state,
        backoff=FullJitter(0.01, 0.05),
        outbox=outbox,
    )


def live(folder: Path, port: int, seed: int) -> None:
    """Accept and deliver until killed."""
    rng = random.Random(seed)
    publisher = publisher_of(folder, port)
    publisher.open()
    outbox = publisher.outbox
    assert outbox is not None, publisher.status.storage
    assert outbox.ledger().balances
    assert outbox.ledger().set_aside == 0
    journal = os.open(folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    never = threading.Event()
    threading.Thread(target=publisher.run, args=(never,), daemon=True).start()
    n = 0
    while True:
        batch = [say(n + i, rng.choice(list(Kind))) for i in range(rng.choice([1, 1, 1, 10]))]
        n += len(batch)
        for identity in outbox.accept_all(batch):
            os.write(journal, f"{identity}\n".encode())
        publisher.wake()
        never.wait(rng.choice([0, 0.001, 0.01]))


def await_the_moment(journal: Path, rng: random.Random) -> None:
    """Until it is time to kill: by the clock, or by what was accepted, since a machine may be slow."""

    def size() -> int:
        return journal.stat().st_size if journal.exists() else 0

    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, OPENING_S))
        return
    enough = size() + 27 * rng.randrange(1, MOST_IDS)
    end_s = time.monotonic() + 10
    while size() < enough and time.monotonic() < end_s:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.01))


def crash(folder: Path, port: int, seed: int, rounds: int) -> None:
    """Live and be killed, `rounds` times; then deliver what is left."""
    rng = random.Random(seed)
    for turn in range(rounds):
        if (pid := os.fork()) == 0:
            try:
                live(folder, port, seed + turn)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(1)
        await_the_moment(folder / "journal", rng)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"round {turn}: it ended by itself")
        print("killed", flush=True)
        if not sys.stdin.readline():
            return
    drain(folder, port)


def fill(folder: Path, count: int) -> None:
    """Accept and end without a farewell."""
    publisher = publisher_of(folder, 1)
    publisher.open()
    assert publisher.outbox is not None
    ids = publisher.outbox.accept_all([say(n, list(Kind)[n % 3]) for n in range(count)])
    (folder / "journal").open("a").write("".join(f"{identity}\n" for identity in ids))
    print(json.dumps({"year": time.gmtime().tm_year, **publisher.outbox.ledger().as_json()}))
    os._exit(0)  # as if killed: nothing is closed


def drain(folder: Path, port: int) -> None:
    """Deliver what waits."""
    publisher = publisher_of(folder, port)
    publisher.open()
    assert publisher.outbox is not None
    publisher.drain(60.0)
    print(json.dumps({"year": time.gmtime().tm_year, **publisher.outbox.ledger().as_json()}))
    publisher.close()


if __name__ == "__main__":
    command, where, *numbers = sys.argv[1:]
    commands: dict[str, Callable[..., None]] = {"crash": crash, "fill": fill, "drain": drain}
    commands[command](Path(where), *map(int, numbers))
