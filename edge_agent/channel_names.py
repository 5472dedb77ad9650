"""Names of many channels in few words: px_000, px_001 ... px_359 as "px_[000..359]". Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHORTEST_RUN = 3
LARGEST = 65536
"""More names than this in one pattern are a mistake, or an attack."""
_PATTERN = re.compile(r"^(?P<stem>[^\[\]]*)\[(?P<first>\d{1,6})\.\.(?P<last>\d{1,6})\](?P<end>[^\[\]]*)$")
_NUMBERED = re.compile(r"^(?P<stem>.*?)(?P<number>\d+)(?P<end>\D*)$")


def expand(names: Sequence[str] | object) -> tuple[str, ...]:
    """Every name, patterns written out. ValueError for a pattern that runs backwards or far too long."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ValueError("channels must be a list of names")  # noqa: TRY004  (pydantic reports a ValueError)
    found: list[str] = []
    for name in names:
        matched = _PATTERN.match(str(name))
        found += _written_out(matched) if matched else [str(name)]
    return tuple(found)


def _written_out(matched: re.Match[str]) -> list[str]:
    first, last, digits = int(matched["first"]), int(matched["last"]), len(matched["first"])
    if not first <= last < first + LARGEST:
        raise ValueError(f"{matched[0]} is no run of at most {LARGEST} channels")
    return [f"{matched['stem']}{i:0{digits}d}{matched['end']}" for i in range(first, last + 1)]


def shorten(names: Sequence[str]) -> list[str]:
    """The names with runs of numbered ones as patterns; `expand` gives them back."""
    short: list[str] = []
    start = 0
    while start < len(names):
        stop = start + 1
        while stop < len(names) and _follows(names[stop - 1], names[stop]):
            stop += 1
        run = names[start:stop]
        short += [_as_pattern(run)] if len(run) >= SHORTEST_RUN else list(run)
        start = stop
    return short


def _follows(before: str, name: str) -> bool:
    a, b = _NUMBERED.match(before), _NUMBERED.match(name)
    return (
        a is not None
        and b is not None
        and not {"[", "]"} & set(before + name)
        and (a["stem"], a["end"]) == (b["stem"], b["end"])
        and len(a["number"]) <= 6
        and b["number"] == f"{int(a['number']) + 1:0{len(a['number'])}d}"
    )


def _as_pattern(run: Sequence[str]) -> str:
    first, last = _NUMBERED.match(run[0]), _NUMBERED.match(run[-1])
    assert first is not None
    assert last is not None
    return f"{first['stem']}[{first['number']}..{last['number']}]{first['end']}"
