"""From a question about a measured number to a query: which number, what of it, and when."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.manifest import Manifest
from edge_agent.memory.clock_words import NUMBER, number
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.numbers import Number, numbers_of
from edge_agent.memory.phrases import TimePhrase
from edge_agent.memory.queries import Span
from edge_agent.perception.facts import join
from edge_agent.perception.vocabulary import concerns

_ABOVE = (
    r"above|over|more than|higher than|greater than|warmer than|hotter than|brighter than|damper than|beyond"
    r"|pass(?:ed)?|at least|exceed(?:ed|s)?|reach(?:ed|es)?|hit|top(?:ped)?|rise above|rose above|go over"
    r"|went over"
)
_BELOW = (
    r"below|under|less than|lower than|colder than|cooler than|darker than|drier than|beneath|at most"
    r"|drop(?:ped)? to|fall to|fell to"
)
_TIME_UNITS = r"(?:seconds?|secs?|minutes?|mins?|hours?|days?|weeks?|months?|o'?clock|am|pm|a\.m|p\.m)\b"
_LIMIT = re.compile(
    rf"\b(?:(?P<above>{_ABOVE})|(?P<below>{_BELOW})) (?P<limit>-?\d+(?:\.\d+)?|{NUMBER}(?= degrees| percent))"
    rf"(?![\d:])(?! {_TIME_UNITS})(?: ?(?P<unit>[a-z%]+))?"
)
_UNITS = {
    "c": "degrees", "celsius": "degrees", "centigrade": "degrees", "degree": "degrees", "%": "percent",
    "lx": "lux", "m": "metres", "meters": "metres", "metre": "metres", "cm": "centimetres",
}  # fmt: skip
_OTHER_UNITS = frozenset(
    ("fahrenheit", "f", "kelvin", "k", "feet", "foot", "ft", "inches", "yards", "miles", "km", "mg", "ppb")
)
_UNIT_NAMES = frozenset(("degrees", "percent", "lux", "ppm", "metres", "centimetres"))
_HIGHEST = re.compile(
    r"\b(highest|maximum|max|peak|warmest|hottest|brightest|dampest|stuffiest|farthest|most|top|highs?|record"
    r"|upper|extreme|worst|climb|rise to|how high|how \w+ did it get)\b"
)
_LOWEST = re.compile(
    r"\b(lowest|minimum|min|coldest|coolest|darkest|dimmest|driest|freshest|least|bottom|lows?|how low|sink"
    r"|sank|lower extreme|(?:fall|drop|go) to|how (?:far|deep) did .* (?:fall|drop)"
    r"|how (?:cold|cool|dark|dim|dry) did it get)\b"
)
_AVERAGE = re.compile(
    r"\b(average|averaged|mean|on average|typical(?:ly)?|usual(?:ly)?|normally|overall|general)\b"
)
_CHANGE = re.compile(
    r"\b(chang\w*|ris(?:e|en|ing)|rose|fall(?:en|ing)?|fell|drop\w*|increas\w*|decreas\w*|trend|develop\w*"
    r"|difference|moved?|worse|better|improv\w+|which way|than (?:it was|before)"
    r"|gone (?:up|down)|go (?:up|down)|went (?:up|down)|(?:get|got|gotten|become|became|turn|turned) \w+er)\b"
)
_DEVICES = {"thermometer": "temperature", "hygrometer": "humidity"}
RULES = (_LIMIT, _HIGHEST, _LOWEST, _AVERAGE, _CHANGE)
"""What is looked for in a question about a number."""
BEYOND = re.compile(r"\b(?:(?:the )?last(?: time)?|how (?:often|many times))\b")
"""May be asked of a number that is above or below another one."""
EVER = re.compile(r"\bever\b|\bon record\b|\bof all time\b")
"""A highest or lowest number is of all that is kept."""
_STATISTIC = re.compile(r"\b(?:average|highest|lowest|maximum|minimum|max|min|peak)\b|^(?:the )?mean\b")
"""Asked of a number without a time they are of today."""
_PAST = re.compile(r"\b(was|were|did|has|had|have|been|so far|ever|earlier|became|got|went|rose|fell)\b")


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that a question compares with; `unit` is empty where none was said."""

    above: bool
    value: float
    unit: str


class NumberGrammar:
    """The rules for the numbers that the configured slots measure."""

    def __init__(self, manifest: Manifest, configured: frozenset[str]) -> None:
        self.numbers = [found for found in numbers_of(manifest) if found.slots & configured]

    def number(self, name: str) -> Number:
        """The number of that name; KeyError where there is none."""
        return {found.name: found for found in self.numbers}[name]

    def named(self, asked: str) -> Number | None:
        """The number that a question is about; of several facts of one head the one whose ending it has."""
        for device, measures in _DEVICES.items():
            asked = asked.replace(device, measures)
        fitting = [n for n in self.numbers if concerns(asked, (*n.words, *superlatives(n.words), n.name))]
        ending = [n for n in fitting if any(e and re.search(rf"\b{e}", asked) for e in n.endings)]
        return next(iter(ending or fitting), None)

    def without_limit(self, asked: str) -> tuple[str, Limit | None]:
        """The question without "above 25 degrees", whose number is no hour of the day.

        "Between 20 and 25 degrees" is taken out as well: the answer tells from where to where it was.
        """
        units = "|".join(sorted(map(re.escape, (*_UNITS, *_UNIT_NAMES)), key=len, reverse=True))
        between = rf"\b(?:between|from) {NUMBER} (?:and|to) {NUMBER} ?(?P<unit>{units})(?![a-z])"
        if (found := re.search(between, asked)) is not None:
            rest = asked.replace(found[0], "")
            asked = rest if self.named(rest) else asked.replace(found[0], self._measures(found["unit"]))
        found = _LIMIT.search(asked)
        if found is None or not (self.named(asked) or found["unit"] in self._units() | _OTHER_UNITS):
            return asked, None
        unit = found["unit"] or ""
        taken = found.end() if unit in {*_UNITS, *_OTHER_UNITS, *_UNIT_NAMES} else found.end("limit")
        unit = unit if taken == found.end() else ""
        limit = Limit(found["above"] is not None, number(found["limit"]), _UNITS.get(unit, unit))
        return re.sub(r"\s+", " ", f"{asked[: found.start()]} {asked[taken:]}"), limit

    def parse(
        self, asked: str, when: TimePhrase | None, span: Callable[[], Span], limit: Limit | None
    ) -> Measured | str | None:
        """The query, or why there is none, or None where the question is not about a number of the past.

        `asked` is without its time and limit.
        """
        found = self.named(asked) or self._of_unit(limit)
        if found is None and limit is not None:
            own = join(sorted({number.unit for number in self.numbers}), "or") or "no numbers"
            return f"I measure in {own}. Please ask in one of these."
        of_past = when is not None or _PAST.search(asked) or _STATISTIC.search(asked)
        if found is None or not (of_past or (limit is not None and BEYOND.search(asked))):
            return None
        if limit is not None:
            if limit.unit and limit.unit != found.unit:
                return f"I measure {found.subject} in {found.unit}. Please ask in {found.unit}."
            wanted = Wanted.ABOVE if limit.above else Wanted.BELOW
            return Measured(found.name, wanted, span(), limit.value)
        return Measured(found.name, self.wanted(asked, when), span())

    def wanted(self, asked: str, when: TimePhrase | None) -> Wanted:
        """What is asked of a number."""
        for wanted, words in (
            (Wanted.LOWEST, _LOWEST),
            (Wanted.HIGHEST, _HIGHEST),
            (Wanted.AVERAGE, _AVERAGE),
            (Wanted.CHANGE, _CHANGE),
        ):
            if words.search(asked):
                return wanted
        return Wanted.VALUE if when is not None and when.instant else Wanted.RANGE

    def _measures(self, unit: str) -> str:
        """The name of the number that is measured in a unit; nothing where none is."""
        return next((n.name for n in self.numbers if n.unit == _UNITS.get(unit, unit)), "")

    def _of_unit(self, limit: Limit | None) -> Number | None:
        return next((n for n in self.numbers if limit is not None and limit.unit == n.unit), None)

    def _units(self) -> frozenset[str]:
        own = {found.unit for found in self.numbers}
        return frozenset((*own, *(word for word, unit in _UNITS.items() if unit in own)))


def superlatives(words: tuple[str, ...]) -> list[str]:
    """The superlatives: "warmest" where "warmer" is a word for it."""
    return [f"{word.removesuffix('er')}est" for word in words if word.endswith("er")]
