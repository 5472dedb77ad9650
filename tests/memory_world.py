"""A small model, a day of percepts, and what a naive reader makes of them: for the tests of the memory."""

from __future__ import annotations

import csv
import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.clock import ManualClock
from edge_agent.manifest import AdapterSpec, File, LanguageSpec, Manifest, Slot, TaskHead
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import note_of
from edge_agent.memory.queries import Queries
from edge_agent.memory.recall import Recall
from edge_agent.memory.spells import Hold
from edge_agent.memory.store import Store
from edge_agent.types import Conditioning, Percept, TaskPercept

DATA = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data"))
S = 1_000_000_000
ZONE = ZoneInfo("Europe/Brussels")
NOTHING = Conditioning(None, None)  # type: ignore[arg-type]  # nobody words these percepts
GAP_NS, JOIN_NS, HOLD_NS = 180 * S, 120 * S, 60 * S
"""Of a day that is read once a minute."""
SLOTS = ("imu_watch", "audio", "air", "room")
HEADS = {
    "activity_recognition": (
        "imu_watch", "activity_recognition", " The person is", ("the person", "doing", "wearer"),
        {"seated": "seated", "sitting_down": "sitting down", "walking": "walking", "lying": "lying down"},
        {"lying": "alarm"},
    ),
    "event_detection": (
        "audio", "event_detection", " It sounds like", ("hear", "heard", "sound", "sounds", "noise"),
        {"dog": "dog barking", "rain": "rain falling", "baby_cry": "baby crying", "silence": "silence"}, {},
    ),
    "occupancy": (
        "air", "event_detection", " The room is", ("occupancy", "the room", "occupied"),
        {"empty": "empty", "occupied": "occupied"}, {},
    ),
    "people": (
        "room", "event_detection", " People in the room:", ("people", "persons", "headcount"),
        {"nobody": "none", "one_person": "one", "two_people": "two", "three_people": "three"}, {},
    ),
}  # fmt: skip
_DESCRIPTIONS = {
    "imu_watch": ("imu", "the watch"), "audio": ("audio", "the microphone"),
    "air": ("environment", "the air sensor"), "room": ("environment", "the room sensors"),
}  # fmt: skip


class LocalTime:
    """Moments and spans as people in ZONE say them, seen from `now_ns` (wall ns)."""

    now_ns: int

    def local(self, back: int, hour: int, minute: int = 0) -> int:
        today = datetime.fromtimestamp(self.now_ns // S, UTC).astimezone(ZONE).date()
        at = datetime(today.year, today.month, today.day, hour, minute, tzinfo=ZONE) - timedelta(days=back)
        return int(at.timestamp()) * S

    def span(self, make: Callable[[Callable[..., int]], tuple[int, int | None]]) -> tuple[int, int]:
        """Seconds before now where the start is negative; until now where the end is None."""
        start, end = make(self.local)
        start = self.now_ns + start * S if start < 0 else start
        return start, min(end or self.now_ns, self.now_ns)


def manifest() -> Manifest:
    """Four heads on four slots, without any network."""
    file = File(sha256="0" * 64, size_bytes=0)
    return Manifest(
        format=2, name="words", version="0", licence="none", source="random",
        slots=tuple(_slot(name) for name in SLOTS),
        tasks=tuple(_head(name) for name in HEADS),
        adapter=AdapterSpec(file="a", d_token=1, n_soft=1, n_embd=1, n_layer=2),
        language=LanguageSpec(
            file="l", n_embd=1, n_layer=2, n_vocab=9, context_tokens=9, prefix="", question="",
            max_answer_tokens=1,
        ),
        data=(), files=dict.fromkeys(("a", "l", "e"), file),
    )  # fmt: skip


@dataclass
class World(LocalTime):
    """Somebody who remembers `day` and can be asked, with the naive reader beside."""

    day: list[Moment]
    recall: Recall
    store: Store
    now_ns: int

    def expected(self, head: str, labels: Iterable[str], span: tuple[int, int]) -> list[Stretch]:
        return stretches(self.day, head, labels, span, GAP_NS, JOIN_NS, HOLD_NS)


@contextmanager
def remembering(day: list[Moment], folder: Path) -> Iterator[World]:
    """Two seconds after the end of a day."""
    clock, words = ManualClock(7 * S, day[0].wall_ns - 107 * S), manifest()
    store = Store(folder / "m.sqlite", clock, max_gap_s=GAP_NS / S)
    remember(store, clock, day, words)
    clock.advance(2.0)
    recall = Recall(Queries(store, words, Hold(JOIN_NS, HOLD_NS)), Lexicon(words, SLOTS), ZONE, clock)
    yield World(day, recall, store, clock.wall_ns())
    store.close()


def _slot(name: str) -> Slot:
    modality, description = _DESCRIPTIONS[name]
    heads = tuple(head for head, spec in HEADS.items() if spec[0] == name)
    return Slot(
        name=name, modality=modality, placement="room", encoder="e", features="raw", channels=("x",),
        units=("1",), rate_hz=1.0, window_s=1.0, n_tokens=1, heads=heads, description=description,
    )  # fmt: skip


def _head(name: str) -> TaskHead:
    _, task, readout, words, phrases, alarms = HEADS[name]
    return TaskHead(
        name=name, task=task, words=words, question="?", labels=tuple(phrases),
        phrases=tuple(phrases.values()),
        label_tokens=tuple(range(len(phrases))), readout=readout, temperature=1.0, threshold=0.5,
        novelty_threshold=5.0, alarms=alarms,
    )  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """What one window read: head -> (label, probability, known); heads that are not there had no data."""

    wall_ns: int
    read: dict[str, tuple[str, float, bool]]
    novel: frozenset[str] = frozenset()


def percept_of(moment: Moment, sequence: int, end_ns: int) -> Percept:
    present = tuple(slot for slot in SLOTS if any(HEADS[head][0] == slot for head in moment.read))
    tasks = {
        head: TaskPercept(
            head, label, p, {label: p}, {HEADS[head][0]: 1.0}, 9.0 if head in moment.novel else 0.0, known
        )
        for head, (label, p, known) in moment.read.items()
    }
    missing = tuple(slot for slot in SLOTS if slot not in present)
    return Percept(sequence, end_ns, tasks, present, missing, NOTHING)


def remember(store: Store, clock: ManualClock, day: Iterable[Moment], of: Manifest) -> None:
    """As the agent does: from percepts, as time passes."""
    for i, moment in enumerate(day):
        clock.advance((moment.wall_ns - clock.wall_ns()) / S)
        store.observe(note_of(percept_of(moment, i, clock.monotonic_ns()), of, SLOTS))


# -- days ------------------------------------------------------------------------------------------------


def recorded_days() -> list[Moment]:
    """Two real days of a room, minute by minute, and another real room's people beside them.

    UCI occupancy detection (Candanedo 2016) and room occupancy estimation (Singh 2018, moved to the same
    days): the labels are those of the recordings.
    """
    occupancy, people = DATA / "room_occupancy" / "datatest.txt", DATA / "room_people_count" / "data.csv"
    if not (occupancy.exists() and people.exists()):
        pytest.skip(f"the recordings are not at {DATA} (EDGE_AGENT_DATA)")
    with occupancy.open(newline="") as file:
        rows = [(row[1], row[-1]) for row in list(csv.reader(file))[1:]]
    with people.open(newline="") as file:
        counts = [(" ".join(row[:2]), int(row[-1])) for row in list(csv.reader(file))[1:]]
    other = [(_utc_ns(at.replace("/", "-")), list(HEADS["people"][4])[n]) for at, n in counts]
    shift_ns = _utc_ns(rows[0][0]) - other[0][0]
    days, j = [], 0
    for i, (at, occupied) in enumerate(rows):
        wall_ns = _utc_ns(at)
        while j + 1 < len(other) and other[j + 1][0] + shift_ns <= wall_ns:
            j += 1
        read = {"occupancy": ("occupied" if occupied == "1" else "empty", 0.8 + i % 20 / 100, True)}
        if wall_ns - other[j][0] - shift_ns < 60 * S:
            read["people"] = (other[j][1], 0.7 + i % 25 / 100, i % 97 != 0)
        days.append(Moment(wall_ns, read))
    return days


def _utc_ns(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) * S


def generated_days(start_ns: int, seed: int, hours: float = 40.0) -> list[Moment]:
    """Minute by minute: labels that hold for a while, slips, novelty, sensors that go and come back."""
    rng = random.Random(seed)
    days, wall_ns = [], start_ns
    state = {head: rng.choice(list(spec[4])) for head, spec in HEADS.items()}
    away: dict[str, int] = {}
    for _ in range(round(hours * 60)):
        wall_ns += 60 * S
        for head, spec in HEADS.items():
            if rng.random() < 0.05:
                state[head] = rng.choice(list(spec[4]))
            if rng.random() < 0.01:
                away[head] = rng.randrange(2, 40)
            away[head] = away.get(head, 0) - 1
        read = {
            head: (label, round(rng.uniform(0.5, 0.99), 2), rng.random() > 0.03)
            for head, label in state.items()
            if away[head] <= 0
        }
        days.append(Moment(wall_ns, read, frozenset(h for h in read if rng.random() < 0.01)))
        if rng.random() < 0.002:
            wall_ns += rng.randrange(600, 3600) * S  # the device was off
    return days


# -- the naive reader ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """A label that held: wall ns, and for how long it was read between them."""

    label: str
    start_ns: int
    end_ns: int
    seen_ns: int


def stretches(
    day: list[Moment],
    head: str,
    labels: Iterable[str],
    span: tuple[int, int],
    gap_ns: int,
    join_ns: int,
    hold_ns: int,
) -> list[Stretch]:
    """From the moments alone: each holds until the next one, where that is no further than a gap."""
    found: list[Stretch] = []
    for label in labels:
        pieces = []
        for moment, after in zip(day, [*day[1:], None], strict=True):
            if head not in moment.read or moment.read[head][0] != label or not moment.read[head][2]:
                continue
            holds = after is not None and head in after.read and after.wall_ns - moment.wall_ns <= gap_ns
            end_ns = after.wall_ns if holds and after is not None else moment.wall_ns
            begin, end = max(span[0], moment.wall_ns), min(span[1], end_ns)
            if end > begin:
                pieces.append((begin, end))
        group: list[tuple[int, int]] = []
        for piece in [*pieces, None]:
            if piece is not None and (not group or piece[0] - group[-1][1] < join_ns):
                group.append(piece)
                continue
            if group:
                seen = sum(e - s for s, e in group)
                if seen >= hold_ns:
                    found.append(Stretch(label, group[0][0], group[-1][1], seen))
            group = [piece] if piece is not None else []
    return sorted(found, key=lambda s: (s.start_ns, s.label))


def watched_ns(day: list[Moment], head: str, span: tuple[int, int], gap_ns: int) -> int:
    """For how long a head had data, whatever it read."""
    total = 0
    for moment, after in itertools.pairwise(day):
        if head in moment.read and head in after.read and after.wall_ns - moment.wall_ns <= gap_ns:
            total += max(0, min(span[1], after.wall_ns) - max(span[0], moment.wall_ns))
    return total
