"""Kill it, again and again: `python -m benchmarks.crash [--kills 1000] [--seed 20260]`.

A process with the real outbox and publisher delivers to a mosquitto of its own and is killed with SIGKILL at
random moments, the next one takes over its file. After every kill the books are balanced by id: each id that
`accept` returned waits in the file or was heard by a subscriber, and the counters say exactly how many. The
exit code is 1 where they do not; the same seed kills after the same numbers of messages.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broker import ROOMY, Broker, program
from benchmarks.ear import Ear
from edge_agent.delivery.publisher import MAX_UNACKNOWLEDGED

_ID_CHARACTERS = 26
_PATIENCE_S = 60.0
_ROOT = Path(__file__).resolve().parent.parent


class BrokenPromiseError(Exception):
    """The books and what is known of the ids differ, or a process ended in another way than by its kill."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`unsure`: ids that were kept though their `accept` had not returned when the kill came."""

    kills: int
    balanced: int
    accepted: int
    unsure: int
    lives: int
    duplicates: int
    most_duplicates: int
    """Of one life."""
    took_s: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.kills} kills in {self.took_s:.1f} s, balanced by id after {self.balanced} of them: "
            f"{self.accepted} accepted, {self.unsure} more whose accept had not returned, all delivered; "
            f"{self.duplicates} duplicates in {self.lives} births and wills, {self.most_duplicates} at most"
        )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Raises BrokenPromiseError when it stays false."""
    end_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end_s:
            raise BrokenPromiseError(what)
        time.sleep(0.002)


class Auditor:
    """Holds every id that is known against the books in the file, as a kill left it."""

    def __init__(self, folder: Path, ear: Ear) -> None:
        self.accepted: set[str] = set()
        self.heard: set[str] = set()
        self.balanced = 0
        self.most_duplicates = self.duplicates = self.lives = 0
        self._folder = folder
        self._ear = ear
        self._read = self._listened = 0
        self._life_of: dict[str, int] = {}
        self._again = [0]

    def _journal(self) -> None:
        """Take in what `accept` returned since; a line that the kill tore is left out."""
        journal = self._folder / "journal"
        if journal.exists():
            with journal.open() as file:
                file.seek(self._read)
                lines = file.read().splitlines()
                self._read = file.tell()
            self.accepted.update(line for line in lines if len(line) == _ID_CHARACTERS)

    def listen(self) -> None:
        """Take in what was heard since, and what of it came again in a later life of the process."""
        new = self._ear.heard[self._listened :]
        self._listened += len(new)
        for topic, body in new:
            if topic == "edge/n/state":
                self._again.append(0)  # the first word of every connection, and the last
                continue
            identity = body["delivery"]["id"]
            if (before := self._life_of.get(identity)) is not None:
                self._again[before] += 1
            self._life_of[identity] = len(self._again) - 1
            self.heard.add(identity)
        self.duplicates, self.most_duplicates = sum(self._again), max(self._again)
        self.lives = len(self._again) - 1

    def _file(self) -> tuple[set[str], int, int, int] | None:
        """(ids that wait, accepted, delivered, let go), of a copy: the next life finds it as it was left."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            for end in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(self._folder / f"outbox.sqlite{end}", name)
            if not (copy := Path(name, "outbox.sqlite")).exists():
                return None
            with contextlib.closing(sqlite3.connect(copy)) as db:
                if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'account'").fetchone() is None:
                    return None
                queued = {identity for (identity,) in db.execute("SELECT id FROM message")}
                sums = "SELECT sum(accepted), sum(delivered), sum(expired + evicted) FROM account"
                accepted, delivered, gone = db.execute(sums).fetchone()
        return queued, accepted or 0, delivered or 0, gone or 0

    def balance(self) -> None:
        """Raises BrokenPromiseError where an id is missing, or the counters are not what the ids say."""
        self._journal()
        if (found := self._file()) is None:
            if self.accepted:
                raise BrokenPromiseError(f"{len(self.accepted)} accepted, and the file holds no books")
            return
        queued, accepted, delivered, gone = found

        def all_known() -> bool:
            self.listen()
            return self.accepted <= queued | self.heard and len(known()) == accepted

        def known() -> set[str]:
            return self.accepted | queued | self.heard

        lost = "after a kill: {} accepted by the books, {} ids known, {} neither wait nor were heard"
        try:
            wait_until(all_known, "")
        except BrokenPromiseError:
            missing = self.accepted - queued - self.heard
            raise BrokenPromiseError(lost.format(accepted, len(known()), len(missing))) from None
        if gone or delivered != accepted - len(queued):
            counts = (
                f"{accepted} accepted, {delivered} delivered, {len(queued)} wait, {gone} expired or evicted"
            )
            raise BrokenPromiseError(f"the counters do not add up after a kill: {counts}")
        self.balanced += 1


def lives(folder: Path, port: int, kills: int, seed: int) -> subprocess.Popen[str]:
    """The process that forks and kills them, one for each line that it gets."""
    command = [sys.executable, "-m", "benchmarks.crash_process", "crash", str(folder), str(port)]
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*command, str(seed), str(kills)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def kill_all(process: subprocess.Popen[str], kills: int, auditor: Auditor) -> dict[str, int]:
    """Balance the books after every kill; what they are when the rest was delivered."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for kill in range(kills):
            if process.stdout.readline() != "killed\n":
                raise BrokenPromiseError(f"life {kill} ended by itself; its error is above")
            auditor.balance()
            process.stdin.write("\n")
            process.stdin.flush()
        last = process.stdout.readline()
    finally:
        process.stdin.close()
    books: dict[str, int] = json.loads(last) if last else {}
    if not books or books["delivered"] != books["accepted"] or books["queued"] or books["set_aside"]:
        raise BrokenPromiseError(f"not all was delivered in the end: {books}")
    return books


def run(folder: Path, port: int, kills: int, seed: int) -> Outcome:
    """All of it, on a broker that drops nothing. Raises BrokenPromiseError."""
    ear = Ear(port)
    auditor = Auditor(folder, ear)
    begun_s = time.monotonic()
    with lives(folder, port, kills, seed) as process:
        books = kill_all(process, kills, auditor)
    took_s = time.monotonic() - begun_s

    def all_heard() -> bool:
        auditor.listen()
        return len(auditor.heard) == books["accepted"] and auditor.accepted <= auditor.heard

    wait_until(all_heard, f"{books['accepted']} delivered by the books, and they were not heard")
    ear.close()
    if auditor.most_duplicates > MAX_UNACKNOWLEDGED:
        raise BrokenPromiseError(f"{auditor.most_duplicates} of one life came twice, in flight were fewer")
    return Outcome(
        kills, auditor.balanced, len(auditor.accepted), len(auditor.heard) - len(auditor.accepted),
        auditor.lives, auditor.duplicates, auditor.most_duplicates, took_s,
    )  # fmt: skip


def main() -> int:
    """Print what came of it; exit code 1 where the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20_260)
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a kill spares what is there
    parser.add_argument("--folder", default=in_memory, help="where the outbox is (default: in memory)")
    options = parser.parse_args()
    if program() is None:
        print("crash: needs mosquitto (apt install mosquitto)", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as name, Broker(Path(name), ROOMY) as broker:
        try:
            print(f"crash, seed {options.seed}: {run(Path(name), broker.port, options.kills, options.seed)}")
        except BrokenPromiseError as error:
            print(f"crash, seed {options.seed}: the promise is BROKEN: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
