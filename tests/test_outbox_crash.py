"""The promise, on whole processes and a real broker: by id, nothing is lost that `accept` returned for.

EDGE_AGENT_CRASHES sets how often the process is killed (100), EDGE_AGENT_BACKLOG how many messages are
drained (8640: a day of one every ten seconds).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from broker_ear import Ear, Proxy, all_heard, duplicates
from conftest import ROOT, Mosquitto, wait_for
from delivering_thread import at_work
from file_systems import small_disk

from benchmarks import backlog, crash, crash_process
from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import MAX_UNACKNOWLEDGED, Publisher
from edge_agent.delivery.room import Limits
from edge_agent.errors import DeliveryError

pytestmark = pytest.mark.e2e
CRASHES = int(os.environ.get("EDGE_AGENT_CRASHES", "100"))
BACKLOG = int(os.environ.get("EDGE_AGENT_BACKLOG", "8640"))
LIMITS = Limits(200_000_000, dict.fromkeys(Kind, 86_400.0))
ROOMY = "allow_anonymous true\nmax_queued_messages 0"
STATE = Message("edge/n/state", b'{"state":"x"}', retain=True)


def say(n: int, kind: Kind = Kind.EVENT) -> Message:
    body = json.dumps({"n": n, "at_s": time.monotonic()}).encode()
    return Message(f"edge/n/{kind.name.lower()}", body, kind=kind, source=kind.name.lower())


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that drops nothing for a slow subscriber; it keeps nothing, a kill loses all that it holds."""
    broker = Mosquitto(tmp_path, ROOMY)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A kill spares what the kernel has, so no disk needs to be waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


def kill(broker: Mosquitto) -> None:
    assert broker._process is not None
    broker._process.send_signal(signal.SIGKILL)
    broker._process.wait(10)
    broker._process = None


@contextmanager
def delivering(folder: Path, port: int, limits: Limits = LIMITS, **more: object) -> Iterator[Publisher]:
    outbox = Outbox(folder / "outbox.sqlite", limits, SystemClock())
    publisher = Publisher(
        Mqtt(host="127.0.0.1", port=port, **more),  # type: ignore[arg-type]
        client_id="agent-n", birth=STATE, will=STATE, backoff=FullJitter(0.05, 0.2), outbox=outbox,
    )  # fmt: skip
    publisher.open()
    assert publisher.outbox is outbox, publisher.status.storage
    with at_work(publisher, 15):
        yield publisher


def accept(publisher: Publisher, message: Message) -> str:
    assert publisher.outbox is not None
    identity = publisher.outbox.accept(message)
    publisher.wake()
    assert identity is not None
    return identity


def run(*arguments: object, environment: dict[str, str] | None = None, timeout_s: float = 100) -> dict:
    command = [sys.executable, crash_process.__file__, *map(str, arguments)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, **(environment or {})}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def journal(folder: Path) -> set[str]:
    """The ids that `accept` returned; the last line may be torn by the kill."""
    return {line for line in (folder / "journal").read_text().splitlines() if len(line) == 26}


@pytest.mark.timeout(60 + 3 * CRASHES)
def test_a_process_that_is_killed_again_and_again_loses_nothing(in_memory: Path, patient: Mosquitto):
    outcome = crash.run(in_memory, patient.port, CRASHES, 20_260)
    print(outcome)
    assert outcome.kills == CRASHES
    assert outcome.balanced > CRASHES * 0.9, "but for those that were killed before they had a file"
    assert outcome.accepted > CRASHES
    assert outcome.unsure <= 10 * CRASHES
    assert outcome.most_duplicates <= MAX_UNACKNOWLEDGED


def test_the_audit_notices_a_message_that_vanished_and_one_that_nobody_counted(
    in_memory: Path, patient: Mosquitto, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(crash, "_PATIENCE_S", 0.3)
    run("fill", in_memory, 30)
    ear = Ear(patient.port)
    crash.Auditor(in_memory, ear).balance()
    file = in_memory / "outbox.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE account SET accepted = accepted + 1 WHERE kind = 0")
        with pytest.raises(crash.BrokenPromiseError, match="31 accepted by the books, 30 ids known, 0"):
            crash.Auditor(in_memory, ear).balance()
        db.execute("UPDATE account SET accepted = accepted - 1 WHERE kind = 0")
        db.execute("DELETE FROM message WHERE n = 7")
        with pytest.raises(crash.BrokenPromiseError, match="30 accepted by the books, 30 ids known, 1"):
            crash.Auditor(in_memory, ear).balance()
    ear.close()


def test_a_broker_that_is_killed_and_comes_back(tmp_path: Path, patient: Mosquitto):
    rng = random.Random(5)
    accepted: set[str] = set()
    heard: list[str] = []
    with Proxy(patient.port) as proxy, delivering(tmp_path, proxy.port) as publisher:
        for life in range(6):
            ear = Ear(patient.port)
            proxy.closed.clear()
            wait_for(lambda: publisher.status.connected, what="the connection")
            end_s = time.monotonic() + rng.uniform(0.05, 0.4)
            while time.monotonic() < end_s:
                accepted.add(accept(publisher, say(len(accepted), Kind.TELEMETRY)))
            if life < 5:
                proxy.closed.set()
                kill(patient)
                for _ in range(20):
                    accepted.add(accept(publisher, say(len(accepted))))
                before = len(set(heard))
                heard += ear.close()
                print(f"life {life}: {len(set(heard)) - before} heard")
                wait_for(lambda: not publisher.status.connected, what="the loss")
                patient.start()
        wait_for(lambda: publisher.queued == 0, 60, "delivery")
        assert publisher.outbox is not None
        assert publisher.outbox.ledger().total.delivered == len(accepted)
    heard += ear.close()
    print(f"{len(accepted)} accepted, {duplicates(heard)} duplicates in 5 kills")
    assert accepted == set(heard)
    assert duplicates(heard) <= 5 * MAX_UNACKNOWLEDGED


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_connection_that_swallows_everything_is_noticed_within_the_keep_alive(
    tmp_path: Path, patient: Mosquitto, busy: bool
):
    keepalive_s = 5
    ear = Ear(patient.port)
    with (
        Proxy(patient.port) as proxy,
        delivering(tmp_path, proxy.port, keepalive_s=keepalive_s) as publisher,
    ):
        accepted = {accept(publisher, say(n)) for n in range(10)}
        wait_for(lambda: publisher.queued == 0, what="delivery")
        proxy.frozen.set()
        begun_s = time.monotonic()
        while publisher.status.connected:
            assert time.monotonic() - begun_s < keepalive_s + 1
            if busy:
                accepted.add(accept(publisher, say(len(accepted))))
            threading.Event().wait(0.02)
        print(f"noticed after {time.monotonic() - begun_s:.2f} s of a keep-alive of {keepalive_s} s")
        accepted |= {accept(publisher, say(1000 + n)) for n in range(10)}
        proxy.drop()
        proxy.frozen.clear()
        wait_for(lambda: publisher.queued == 0, what="delivery")
        all_heard(ear, accepted)
    assert duplicates(ear.close()) <= MAX_UNACKNOWLEDGED


def test_a_broker_that_is_slow_to_acknowledge_is_not_flooded(tmp_path: Path, patient: Mosquitto):
    ear = Ear(patient.port)
    with Proxy(patient.port) as proxy, delivering(tmp_path, proxy.port) as publisher:
        wait_for(lambda: publisher.status.connected, what="the connection")
        proxy.delay_s = 0.2
        accepted = {accept(publisher, say(n)) for n in range(120)}
        most = 0
        while publisher.queued:
            assert publisher.outbox is not None
            most = max(most, len(publisher.outbox._flying))
            threading.Event().wait(0.01)
        assert 1 < most <= MAX_UNACKNOWLEDGED
        all_heard(ear, accepted)
    assert duplicates(ear.close()) == 0


@pytest.fixture
def outbox_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "3m") as folder:
        yield folder


def test_a_full_disk_refuses_the_new_and_keeps_and_delivers_the_old(outbox_disk: Path, broker: Mosquitto):
    accepted: set[str] = set()
    way = Proxy(broker.port)
    way.closed.set()  # until somebody listens: what is told before is heard by nobody
    with way, delivering(outbox_disk, way.port) as publisher:

        def fill() -> None:
            for n in range(100_000):
                accepted.add(accept(publisher, say(n)))

        with pytest.raises(DeliveryError, match=r"cannot be written|is full") as caught:
            fill()
        assert "free space" in caught.value.hint
        publisher.publish(say(7_000_000))  # not lost either, but only in memory, and said so
        assert publisher.status.unstored == 1
        assert publisher.status.storage
        ear = Ear(broker.port)
        way.closed.clear()
        wait_for(lambda: publisher.queued == 0, 60, "delivery")
        assert publisher.outbox is not None
        books = publisher.outbox.ledger()
        assert books.balances
        assert books.total.delivered == len(accepted)
        accepted.add(accept(publisher, say(0)))  # there is room again
        wait_for(lambda: publisher.queued == 0, 60, "delivery")
        all_heard(ear, accepted)
        assert any(body.get("n") == 7_000_000 for _, body in ear.heard)
    print(f"{len(accepted)} messages on a disk of 3 MB, {duplicates(ear.ids)} duplicates")
    assert duplicates(ear.close()) <= MAX_UNACKNOWLEDGED


def fill_up(folder: Path) -> Path:
    """Take all that is left of the disk, as another program may."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65_536, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


def test_a_disk_that_another_program_fills_stops_nothing(outbox_disk: Path):
    """Neither what is too old, nor what was delivered or refused, can be noted: it is, once there is room."""
    limits = Limits(10**9, {Kind.TELEMETRY: 0.5, Kind.EVENT: 1e6})
    outbox = Outbox(outbox_disk / "outbox.sqlite", limits, SystemClock())
    outbox.open()
    for n in range(20):
        outbox.accept(say(n, Kind.TELEMETRY))
    events = [outbox.accept(say(n)) for n in range(4)]
    fill_up(outbox_disk)
    outbox._books.store.give_reserve()
    ballast = fill_up(outbox_disk)
    with pytest.raises(DeliveryError, match=r"is full|cannot be written"):
        outbox.accept(say(99))
    threading.Event().wait(1.2)  # all telemetry is too old by now, and so is the last look for that
    assert outbox.ledger().balances
    taken = outbox.take(100)
    outbox.acknowledge([one for one in taken if one.id == events[0]])
    outbox.refuse(next(one for one in taken if one.id == events[1]))
    assert outbox.reason
    assert outbox.take(100) == [], "what is not known to be noted could come again without bound"
    ballast.unlink()
    outbox.accept(say(100))
    outbox.begin()
    again = {one.id for one in outbox.take(100)}
    assert set(events[2:]) <= again
    assert not set(events[:2]) & again
    total = outbox.ledger().total
    assert (total.delivered, total.evicted) == (1, 1)
    outbox.close()


def test_a_file_that_is_damaged_while_the_disk_is_full_is_begun_anew_when_there_is_room(outbox_disk: Path):
    outbox = Outbox(outbox_disk / "outbox.sqlite", LIMITS, SystemClock())
    outbox.open()
    ids = {outbox.accept(say(n)) for n in range(300)}
    outbox._books.store.checkpoint()
    fill_up(outbox_disk)
    outbox._books.store.give_reserve()
    ballast = fill_up(outbox_disk)
    outbox._books.store.db.execute("PRAGMA cache_size = 0")
    with (outbox_disk / "outbox.sqlite").open("r+b") as file:
        file.seek(4096 * 20)
        file.write(random.Random(1).randbytes(4096))
    for _ in range(3):
        assert outbox.take(1000) == [], "there is nothing that could be sent, and nothing breaks"
    assert outbox.reason
    ballast.unlink()
    saved = {one.id for one in outbox.take(1000)}
    assert saved < ids
    assert len(saved) > 250
    assert outbox.ledger().set_aside == 1
    assert outbox.ledger().balances
    outbox.close()


def test_a_page_of_garbage_costs_what_was_in_it(tmp_path: Path, patient: Mosquitto):
    run("fill", tmp_path, 2000)
    file = tmp_path / "outbox.sqlite"
    sqlite3.connect(file).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    page = 200
    with file.open("r+b") as out:
        out.seek(4096 * page)
        out.write(random.Random(1).randbytes(4096))
    ear = Ear(patient.port)
    books = run("drain", tmp_path, patient.port)
    assert books["set_aside"] == 1
    assert books["delivered"] == books["accepted"]
    wait_for(lambda: len(ear.ids) == books["accepted"], what="what was saved")
    heard = ear.close()
    print(f"{len(heard)} of 2000 saved from a file with a page of garbage")
    assert set(heard) < journal(tmp_path)
    assert len(heard) > 1900
    assert duplicates(heard) == 0


def faketime(offset: str) -> dict[str, str]:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("needs libfaketime")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize(("first", "then"), [("+0", "+1y"), ("+0", "-1y"), ("+1y", "+0")])
def test_a_wall_clock_that_jumps_a_year_expires_nothing(
    tmp_path: Path, patient: Mosquitto, first: str, then: str
):
    ear = Ear(patient.port)
    filled = run("fill", tmp_path, 60, environment=faketime(first))
    books = run("drain", tmp_path, patient.port, environment=faketime(then))
    assert filled["year"] != books["year"], "the clock did jump"
    assert books["delivered"] == 60
    assert books["expired"] == 0
    all_heard(ear, journal(tmp_path))
    assert duplicates(ear.close()) == 0


@pytest.mark.timeout(60 + BACKLOG // 50)
def test_a_day_of_backlog_is_drained_while_live_data_flows(tmp_path: Path, patient: Mosquitto):
    path = tmp_path / "outbox.sqlite"
    waiting = backlog.fill(path, BACKLOG)
    assert len(waiting) == BACKLOG
    outcome = backlog.drain(path, patient.port, waiting, live_hz=50)
    print(outcome)
    assert outcome.lost == outcome.duplicates == 0
    assert outcome.in_order, "the backlog as it was accepted, and the live ones as they were"
    assert outcome.marked, "the backlog as historical, the live ones as not"
    assert len(outcome.latency_ms) > 10
    # Behind the backlog half of them would have waited half of the time that all of it took.
    assert np.median(outcome.latency_ms) < 100 * outcome.took_s
