"""The outbox: what its books say in any order of events, what outlives it, and what damage costs."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.clock import ManualClock
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.room import Limits
from edge_agent.delivery.store import NoRoomError
from edge_agent.errors import DeliveryError

YEAR_NS = 365 * 86_400 * 1_000_000_000
NOON_NS = 1_700_000_000 * 1_000_000_000
WEEK = dict.fromkeys(Kind, 7 * 86_400.0)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
MUCH = Limits(10_000_000, WEEK)


def say(n: int, kind: Kind = Kind.TELEMETRY, size: int = 10) -> Message:
    body = json.dumps({"n": n, "filler": "x" * size}).encode()
    return Message(f"edge/k/{kind.name.lower()}", body, kind=kind, source=kind.name.lower())


def opened(folder: Path, limits: Limits = MUCH, clock: ManualClock | None = None, boot: str = "a") -> Outbox:
    outbox = Outbox(folder / "outbox.sqlite", limits, clock or ManualClock(10**12, NOON_NS), boot)
    outbox.open()
    return outbox


def body(entry) -> dict:
    return json.loads(entry.message.payload)


def numbers(entries) -> list[int]:
    return [body(entry)["n"] for entry in entries]


def die(outbox: Outbox) -> None:
    """As the death of the process leaves it: nothing is noted, the file is free."""
    outbox._books.store.close()


@pytest.fixture
def tmp_path():
    """In memory: what waits for the disk here is only the test."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def outbox(tmp_path: Path):
    made = opened(tmp_path)
    yield made
    made.close()


# -- the books -----------------------------------------------------------------------------------------------


class Interleavings(RuleBasedStateMachine):
    """Whatever happens in whatever order, every accepted id is delivered, waiting, expired or evicted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.clock = ManualClock(10**12, NOON_NS)
        self.boot = "0"
        self.n = 0
        self.accepted: dict[str, Kind] = {}
        self.turned_away = 0
        self.delivered: set[str] = set()
        self.refused: set[str] = set()
        self.flying: list = []
        self.limits = Limits(3000, {Kind.TELEMETRY: 60, Kind.ANSWER: 600, Kind.EVENT: 3600})
        self.outbox = self.again()

    def again(self) -> Outbox:
        return opened(self.folder, self.limits, self.clock, self.boot)

    @rule(kind=st.sampled_from(Kind), size=st.integers(0, 900), count=st.integers(1, 4))
    def accept(self, kind: Kind, size: int, count: int) -> None:
        messages = [say(self.n + i, kind, size) for i in range(count)]
        self.n += count
        for identity in self.outbox.accept_all(messages):
            if identity is None:
                self.turned_away += 1
            else:
                self.accepted[identity] = kind

    @rule(most=st.integers(0, 5))
    def take(self, most: int) -> None:
        taken = self.outbox.take(most)
        assert len(taken) <= most
        assert not {e.id for e in taken} & {e.id for e in self.flying}, "sent twice on one connection"
        assert not {e.id for e in taken} & (self.delivered | self.refused), "sent after it was delivered"
        self.flying += taken

    @rule(seed=st.integers(0, 99))
    def acknowledge(self, seed: int) -> None:
        some = random.Random(seed).sample(self.flying, k=len(self.flying) // 2 + len(self.flying) % 2)
        self.outbox.acknowledge(some)
        self.delivered |= {e.id for e in some}
        self.flying = [e for e in self.flying if e not in some]

    @rule()
    def refuse(self) -> None:
        if self.flying:
            entry = self.flying.pop(0)
            self.outbox.refuse(entry)
            self.refused.add(entry.id)

    @rule()
    def connect(self) -> None:
        self.outbox.begin()
        self.flying = []

    @rule(seconds=st.sampled_from([0.5, 30, 400, 4000]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(years=st.sampled_from([-1, 1]))
    def set_the_wall_clock(self, years: int) -> None:
        self.clock._wall_offset_ns += years * YEAR_NS

    @rule(reboot=st.booleans(), gently=st.booleans())
    def reopen(self, reboot: bool, gently: bool) -> None:
        (self.outbox.close if gently else lambda: die(self.outbox))()
        if reboot:
            self.boot = str(int(self.boot) + 1)
        self.outbox = self.again()
        self.flying = []

    @invariant()
    def the_books_balance(self) -> None:
        ledger = self.outbox.ledger()
        total = ledger.total
        assert ledger.balances
        assert total.accepted == self.n
        assert total.accepted == total.delivered + total.queued + total.expired + total.evicted
        assert total.delivered == len(self.delivered)
        assert total.bytes <= ledger.max_bytes
        assert ledger.set_aside == 0
        with sqlite3.connect(self.folder / "outbox.sqlite") as db:
            waiting = {identity for (identity,) in db.execute("SELECT id FROM message")}
        db.close()
        assert len(waiting) == total.queued
        assert not waiting & self.delivered, "delivered and still there"
        assert waiting <= set(self.accepted)
        gone = set(self.accepted) - waiting - self.delivered - self.refused
        assert len(gone) + self.turned_away + len(self.refused) == total.expired + total.evicted

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)


Interleavings.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
test_the_books_balance_in_any_order_of_events = Interleavings.TestCase


def test_many_threads_accept_while_one_delivers(outbox: Outbox):
    def accept(start: int) -> None:
        for n in range(start, start + 100):
            outbox.accept(say(n))

    threads = [threading.Thread(target=accept, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while any(thread.is_alive() for thread in threads) or outbox.queued:
        taken = outbox.take(20)
        seen += numbers(taken)
        outbox.acknowledge(taken)
    assert sorted(seen) == sorted(1000 * i + n for i in range(4) for n in range(100))
    assert outbox.ledger().total.delivered == 400


# -- what outlives it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_what_was_accepted_is_there_after_the_death_of_the_process(tmp_path: Path, kind: Kind):
    first = opened(tmp_path)
    ids = [first.accept(say(n, kind)) for n in range(5)]
    taken = first.take(3)
    first.acknowledge(taken[:1])
    die(first)
    second = opened(tmp_path)
    assert [entry.id for entry in second.take(10)] == ids[1:]
    second.close()


def test_events_and_answers_wait_for_the_disk_and_telemetry_does_not(outbox: Outbox):
    def mode() -> int:
        return outbox._books.store.db.execute("PRAGMA synchronous").fetchone()[0]

    normal, full = 1, 2
    outbox.accept(say(0))  # the first of all is due
    outbox.accept(say(1))
    assert mode() == normal
    for kind in (Kind.ANSWER, Kind.EVENT):
        outbox.accept(say(2, kind))
        assert mode() == full
        outbox.accept(say(3))
        assert mode() == normal
    outbox.acknowledge(outbox.take(1))
    assert mode() == normal


def test_telemetry_waits_for_the_disk_every_five_seconds(tmp_path: Path):
    clock = ManualClock(10**12, NOON_NS)
    outbox = opened(tmp_path, clock=clock)
    modes = []
    for n in range(21):
        outbox.accept(say(n))
        modes.append(outbox._books.store.db.execute("PRAGMA synchronous").fetchone()[0])
        clock.advance(1)
    assert [n for n, mode in enumerate(modes) if mode == 2] == [0, 5, 10, 15, 20]
    outbox.close()


def test_two_processes_cannot_have_one_outbox(tmp_path: Path, outbox: Outbox):
    with pytest.raises(DeliveryError, match="another process") as caught:
        opened(tmp_path)
    assert "outbox.path" in caught.value.hint


# -- order, and what goes with a message ---------------------------------------------------------------------


def test_live_messages_go_first_and_the_backlog_is_marked(tmp_path: Path):
    first = opened(tmp_path)
    for n in range(4):
        first.accept(say(n))
    first.close()
    outbox = opened(tmp_path)
    outbox.accept(say(4))
    sent = outbox.take(2)
    assert numbers(sent) == [4, 0]
    assert [body(entry)["delivery"]["historical"] for entry in sent] == [False, True]
    outbox.accept(say(5))
    assert numbers(outbox.take(10)) == [5, 1, 2, 3]
    outbox.begin()  # nothing was acknowledged: on the next connection all of it is backlog, in its order
    again = outbox.take(10)
    assert numbers(again) == [0, 1, 2, 3, 4, 5]
    assert all(body(entry)["delivery"]["historical"] for entry in again)
    outbox.close()


def test_every_message_has_an_id_and_the_next_number_of_its_source(outbox: Outbox):
    for n in range(3):
        outbox.accept(say(n, Kind.EVENT))
        outbox.accept(say(n, Kind.ANSWER))
    stamps = [body(entry)["delivery"] for entry in outbox.take(10)]
    assert len({s["id"] for s in stamps}) == 6
    assert {s["log"] for s in stamps} == {outbox.ledger().log}
    assert [(s["source"], s["sequence"]) for s in stamps] == [
        (source, n) for n in (1, 2, 3) for source in ("event", "answer")
    ]


def test_the_numbers_go_on_after_all_was_delivered_and_reopened(tmp_path: Path):
    for sequence in range(1, 4):
        outbox = opened(tmp_path)
        outbox.accept(say(0))
        (entry,) = outbox.take(5)
        assert body(entry)["delivery"]["sequence"] == sequence
        outbox.acknowledge([entry])
        outbox.close()


@pytest.mark.parametrize("payload", [b"\x08\x01}{", b"[1]", b"", b"{\xff}", b"plain"])
def test_what_is_no_json_object_passes_unchanged(outbox: Outbox, payload: bytes):
    outbox.accept(Message("a", payload, source="" if payload[:1] == b"{" else "x"))
    assert outbox.take(1)[0].message.payload == payload


def test_an_empty_object_stays_json(outbox: Outbox):
    outbox.accept(Message("a", b"{}", source="x"))
    assert list(body(outbox.take(1)[0])) == ["delivery"]


def test_the_way_back_to_who_asked_is_kept(tmp_path: Path):
    outbox = opened(tmp_path)
    outbox.accept(Message("back/here", b'{"a":1}', correlation=b"\0\xff", kind=Kind.ANSWER, source="answer"))
    die(outbox)
    outbox = opened(tmp_path)
    message = outbox.take(1)[0].message
    assert (message.topic, message.correlation, message.retain) == ("back/here", b"\0\xff", False)
    outbox.close()


# -- bounds --------------------------------------------------------------------------------------------------


def test_telemetry_makes_room_first_and_events_last(tmp_path: Path):
    outbox = opened(tmp_path, Limits(5000, WEEK))
    for n in range(4):
        for kind in Kind:
            outbox.accept(say(n, kind, 100))
    for n in range(4, 30):
        outbox.accept(say(n, Kind.ANSWER, 100))
    kept = outbox.ledger().accounts
    assert kept[Kind.TELEMETRY].queued == 0
    assert kept[Kind.TELEMETRY].evicted == 4
    assert kept[Kind.EVENT].evicted == 0
    assert kept[Kind.ANSWER].evicted > 0
    for n in range(30, 60):
        outbox.accept(say(n, Kind.EVENT, 100))
    kept = outbox.ledger().accounts
    assert kept[Kind.ANSWER].queued == 0
    assert numbers(outbox.take(1)) > [0], "the oldest events went, the newest are there"
    assert outbox.accept(say(99, Kind.TELEMETRY, 100)) is None, "nothing worth more makes room for telemetry"
    assert outbox.ledger().accounts[Kind.EVENT].queued == kept[Kind.EVENT].queued
    assert outbox.ledger().balances
    outbox.close()


def test_a_message_larger_than_the_outbox_takes_nothing_with_it(tmp_path: Path):
    outbox = opened(tmp_path, Limits(3000, WEEK))
    outbox.accept(say(0))
    assert outbox.accept(say(1, Kind.EVENT, 5000)) is None
    assert numbers(outbox.take(5)) == [0]
    outbox.close()


def test_what_is_on_its_way_neither_expires_nor_makes_room(tmp_path: Path):
    clock = ManualClock(10**12, NOON_NS)
    outbox = opened(tmp_path, Limits(3000, dict.fromkeys(Kind, 10.0)), clock)
    outbox.accept(say(0))
    flying = outbox.take(1)
    clock.advance(100)
    for n in range(1, 30):
        outbox.accept(say(n, size=200))
    outbox.acknowledge(flying)
    assert outbox.ledger().total.delivered == 1
    outbox.close()


def test_the_size_of_the_file_follows_the_bound(tmp_path: Path):
    limit = 400_000
    outbox = opened(tmp_path, Limits(limit, WEEK))
    for n in range(1500):
        outbox.accept(say(n, size=random.Random(n).randrange(1500)))
    outbox._books.store.checkpoint()
    assert outbox.ledger().total.evicted > 800
    assert (tmp_path / "outbox.sqlite").stat().st_size < 1.5 * limit
    outbox.close()


@pytest.mark.parametrize("years", [-1, 0, 1])
def test_only_the_time_that_passed_expires_whatever_the_wall_clock_says(tmp_path: Path, years: int):
    clock = ManualClock(10**12, NOON_NS)
    limits = Limits(100_000, {Kind.TELEMETRY: 60, Kind.ANSWER: 600, Kind.EVENT: 600})
    outbox = opened(tmp_path, limits, clock)
    outbox.accept(say(0))
    clock._wall_offset_ns += years * YEAR_NS
    clock.advance(50)
    outbox.accept(say(1))
    assert outbox.ledger().total.expired == 0
    outbox.close()
    clock.advance(20)  # the process was away, the machine was not
    outbox = opened(tmp_path, limits, clock)
    assert outbox.ledger().total.expired == 1
    (entry,) = outbox.take(5)
    assert body(entry)["n"] == 1
    assert entry.message.expiry_s == 40, "the broker is told what is left of it"
    outbox.close()


def test_the_time_for_which_the_machine_was_off_does_not_count(tmp_path: Path):
    limits = Limits(100_000, {Kind.TELEMETRY: 60})
    outbox = opened(tmp_path, limits, ManualClock(10**12, NOON_NS))
    outbox.accept(say(0))
    die(outbox)
    clock = ManualClock(5, NOON_NS + YEAR_NS)  # the monotonic clock begins again
    outbox = opened(tmp_path, limits, clock, boot="b")
    assert outbox.ledger().total.queued == 1
    clock.advance(61)
    assert outbox.ledger().total.expired == 1
    outbox.close()


# -- damage --------------------------------------------------------------------------------------------------


def damaged(folder: Path, offset: int, garbage: bytes) -> None:
    with (folder / "outbox.sqlite").open("r+b") as file:
        file.seek(offset)
        file.write(garbage)


def filled(folder: Path, count: int = 200) -> dict[str, int]:
    """id -> n of messages that wait in a closed outbox."""
    outbox = opened(folder)
    ids = outbox.accept_all([say(n, Kind.EVENT, 300) for n in range(count)])
    outbox.close()
    return {identity: n for n, identity in enumerate(ids)}


@pytest.mark.parametrize("seed", range(12))
def test_a_page_of_garbage_is_set_aside_and_the_rest_goes_on(tmp_path: Path, seed: int):
    ids = filled(tmp_path)
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()
    db.close()
    page = (
        seed
        if seed < 5
        else random.Random(seed).randrange((tmp_path / "outbox.sqlite").stat().st_size // 4096)
    )
    damaged(tmp_path, 4096 * page, random.Random(seed).randbytes(4096))
    outbox = opened(tmp_path)
    kept = {entry.id: body(entry)["n"] for entry in outbox.take(1000)}
    print(f"page {page}: {len(kept)} of {len(ids)} kept; {outbox.reason}")
    assert kept.items() <= ids.items(), "what is sent is what was accepted, byte for byte"
    ledger = outbox.ledger()
    assert ledger.balances
    if ledger.set_aside:
        assert "damaged" in outbox.reason
        assert list(tmp_path.glob("*.damaged-*"))
    if page not in (0, root - 1):  # the way to all others
        assert len(kept) >= len(ids) - 20, "a page costs what was in it"
    assert outbox.accept(say(1))
    outbox.close()
    outbox = opened(tmp_path)
    assert outbox.ledger().set_aside == ledger.set_aside, "once"
    outbox.close()


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_none_is_set_aside(tmp_path: Path, content: bytes):
    (tmp_path / "outbox.sqlite").write_bytes(content)
    outbox = opened(tmp_path)
    assert outbox.accept(say(0))
    assert numbers(outbox.take(5)) == [0]
    assert outbox.ledger().set_aside == bool(content)
    outbox.close()


def test_another_programs_database_is_set_aside_untouched(tmp_path: Path):
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        db.execute("CREATE TABLE precious(x)")
        db.execute("INSERT INTO precious VALUES(42)")
    db.close()
    outbox = opened(tmp_path)
    assert outbox.ledger().set_aside == 1
    (aside,) = [p for p in tmp_path.glob("*.damaged-*") if p.name[-4:] not in ("-wal", "-shm")]
    with sqlite3.connect(aside) as db:
        assert db.execute("SELECT x FROM precious").fetchone() == (42,)
    db.close()
    outbox.close()


def test_damage_found_while_it_runs_does_not_stop_it(tmp_path: Path):
    outbox = opened(tmp_path)
    outbox.accept_all([say(n, Kind.EVENT, 300) for n in range(300)])
    flying = outbox.take(5)
    db = outbox._books.store.db
    db.execute("UPDATE message SET body = x'7b7d' WHERE n = 100")  # bits that fell over, in SQLite's own form
    sent = numbers(flying)
    while taken := outbox.take(50):
        sent += numbers(taken)
        outbox.acknowledge(taken)
    outbox.acknowledge(flying)
    assert sent == [n for n in range(300) if n != 99], "each once, but the one that is no more"
    assert outbox.ledger().set_aside == 1
    assert outbox.ledger().balances
    assert outbox.queued == 0
    outbox.close()


def test_books_that_do_not_balance_are_damage(tmp_path: Path):
    ids = filled(tmp_path, 10)
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        db.execute("UPDATE account SET accepted = accepted + 1")
    db.close()
    outbox = opened(tmp_path)
    assert outbox.ledger().set_aside == 1
    assert {entry.id for entry in outbox.take(20)} == set(ids)
    outbox.close()


def test_only_the_newest_damaged_files_are_kept(tmp_path: Path):
    for n in range(5):
        (tmp_path / "outbox.sqlite").write_bytes(b"garbage number %d" % n)
        outbox = opened(tmp_path, clock=ManualClock(10**12 + n * 10**9, NOON_NS))
        outbox.close()
    kept = sorted(tmp_path.glob("*.damaged-*"))
    assert [p.read_bytes() for p in kept] == [b"garbage number 3", b"garbage number 4"]


def test_a_folder_that_cannot_be_written_is_no_room(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NoRoomError):
        opened(tmp_path / "file" / "below")
