"""Questions that name several: "was the person walking or sitting?", "the temperature and the humidity".

A question is cut at "or", "and" and commas; each part is read as if it stood in the whole question alone.
"""

from __future__ import annotations

import re
from dataclasses import replace

from edge_agent.memory.compound import Each, each
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.number_grammar import NumberGrammar
from edge_agent.memory.queries import Query, Target, Targeted, Whether

_CUT = re.compile(r"\s*(?:,|\b(?:or|and|versus|vs|nor)\b)[\s,]*(?:\b(?:or|and|either|both)\b\s*)?")
_LONGEST_NAME = 4
"""So many words a name may have, with its article, that stands for another one."""


def several(query: Query, rest: str, lexicon: Lexicon) -> Query | Each:
    """The query of each label that is named, or the query as it is where that is one."""
    if not isinstance(query, Targeted) or (isinstance(query, Whether) and query.why):
        return query
    named = targets(rest, lexicon)
    return each([replace(query, target=target) for target in named]) if len(named) > 1 else query  # type: ignore[return-value]


def targets(rest: str, lexicon: Lexicon) -> list[Target]:
    """What each part of a question names, each once; a part that names nothing by itself is left out."""
    parts = _CUT.split(rest.rstrip("?"))
    found: list[Target] = []
    for part in parts:
        target = _target(part, parts[0] if found else "", rest, lexicon)
        if target is not None and target not in found:
            found.append(target)
    return found


def _target(part: str, first: str, rest: str, lexicon: Lexicon) -> Target | None:
    """What a part names: as it stands, or in the place of the last words of the first part."""
    alone = lexicon.target(part, rest) if part else None
    if alone is not None and len(alone.labels) == 1:
        return alone
    words = first.split()
    for taken in range(1, min(_LONGEST_NAME, len(words)) + 1):
        target = lexicon.target(" ".join([*words[:-taken], part]), rest)
        if part and target is not None and len(target.labels) == 1 and target != lexicon.target(first, rest):
            return target
    return alone


def several_numbers(query: Measured, rest: str, numbers: NumberGrammar) -> Measured | Each:
    """The query of each number that is named."""
    if query.limit is not None:
        return query
    found: list[Measured] = []
    for part in _CUT.split(rest):
        number, wanted = numbers.named(part), numbers.wanted(part, None)
        if number is not None:
            wanted = query.wanted if wanted is Wanted.RANGE else wanted
            found.append(replace(query, name=number.name, wanted=wanted))
    names = {part.name for part in found}
    return each(list(found)) if len(names) > 1 else query  # type: ignore[return-value]
