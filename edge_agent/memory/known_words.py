"""The words that a question about the past may hold; any other means something that is not perceived."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edge_agent.memory.clock_words import NUMBERS
from edge_agent.memory.lexicon import Lexicon, stem
from edge_agent.memory.numbers import Number
from edge_agent.perception.vocabulary import MODALITY_WORDS

THING, NUMBER, DEVICE, THEN = "something", "level", "device", "then"
"""In the place of a label, a measured number, a sensor and the time, before a language model."""

_WORD = re.compile(r"[a-z]{2,}")
_PLAIN = """
    a about actually after again ago all along already also altogether always an and another any anybody
    anymore anyone anything approximately are around as ask at away back be became become been before began
    begin begun being between both brief briefly brought but by came can case catch cause caused certain
    certainly chance check circumstances come comes coming confirm could count current currently date day
    days describe detect detected detecting did different do does doing don done during each earlier either
    else end ended ending ends entire entirely even evening event events ever every everybody everyone
    everything everywhere exactly except far feel few find finish finished first follow following for form
    found from full fully gave general generally get gets getting give given gives glad go goes going gone
    gonna got gotten great had happen happened happening happens has have having he hear heard hearing hello
    help her here hey hi him his hold home hour hours house how however i if in including indeed inside
    instance instances interval intervals into is isn it its itself just keep kept kind kindly kinds know
    known later latest least less let like list listed little ll long longer look looked looking lot lots
    made main mainly make many matter may maybe me mean meanwhile mention might minute minutes moment
    moments month months more morning most mostly much must my near nearly need never new next night no
    nobody none noon nor not note noted nothing notice noticed noticing now number numbers observe observed
    obviously occasion occasions occur occurred occurring of off ok okay on once one ones ongoing only or
    other others otherwise our out outside over overall own part particular particularly past people
    perceive perceived perhaps period periods person place please point points possible possibly present
    presently pretty probably quick quickly quite rather re read reading ready really reason reasons recall
    recap record recorded regarding register registered remember remembered remind report reported rest
    right room roughly rundown said same saw say saying second seconds see seeing seem seemed seems seen
    sense sensed separate several share she short shortly should show shown simply since single situation so
    some somebody somehow someone something sometime sometimes somewhere sort sorts spend spent spot spotted
    start started starting starts state status stay stayed still stop stopped story such sum summarise
    summarize summary sure take taken takes taking tell telling than thank thanks that the their them then
    there these they thing things think this those though through throughout till time times to today
    together told too took total totally tried try turn turned twice two under until up update us use used
    useful using usual usually ve very view wait want wanted was wasn way ways we week weeks well went were
    weren what whatever when whenever where whether which while who whole whom whose why will wish with
    within without wonder wondering word words would year yes yesterday yet you your yours
"""
"""English that names nothing."""
ASKING = {
    THING: """
    account amount appear arise bouts combined commence common continue correct correctly details
    duration earliest evidence extended false final fraction frequency frequent frequently
    history indication information initial initially length lengthy log newest news occurrence
    occurrences often onset originally overview percentage previous prolonged proportion quantity
    rare recent recently regularly repetitions sequence sign suppose surely tally timeline trace
    true verify
    """,
    NUMBER: """
    across amount average averaged biggest bottom ceiling central change changed climb compare
    compared constant decrease decreased develop development difference direction evolve exact
    extreme figure greatest grow grown height highest improve increase increased largest level
    lower lowest max maximum measure measured measurement middle min minimum normal normally peak
    reach reading remain rise rising shift smallest stable steady steeply strongest top
    trend typical typically upper upward value vary weakest worse worst
    """,
    DEVICE: """
    active alive alright availability disappear dropouts fault faulty function functional
    gaps health healthy log misbehave misbehaving operate operating outages reachable readings
    reliability responding sending stable steady uptime vanish
    """,
}
"""English that says how something is asked of a label, a number or a sensor, in questions whose kind a
language model tells: it is trained on each of these words."""


class KnownWords:
    """Of one model and one set of sensors."""

    def __init__(self, lexicon: Lexicon, numbers: Iterable[Number]) -> None:
        named = [
            word for slot in lexicon.slots for word in (slot.description, *MODALITY_WORDS[slot.modality])
        ]
        for head in lexicon.heads:
            named += [*head.words, *head.labels, *head.phrases]
        for number in numbers:
            named += [number.name, number.unit, number.subject, *number.words, *number.endings]
        self._plain = _stems(_PLAIN, *NUMBERS)
        self._all = self._plain | _stems(*named)

    def unknown(self, asked: str, rules: Iterable[re.Pattern[str]]) -> list[str]:
        """The words of a question that mean nothing here, without those that the rules look for."""
        for words in rules:
            asked = words.sub(" ", asked)
        return [word for word in _WORD.findall(asked) if stem(word) not in self._all]

    def only_asks(self, words: Iterable[str], of: str) -> bool:
        """Whether unknown words only say how something is asked `of` a THING, a NUMBER or a DEVICE."""
        return {stem(word) for word in words} <= _stems(ASKING[of])

    def names_nothing(self, asked: str) -> bool:
        """Whether a question, without its time, holds plain words only."""
        return _stems(asked) <= self._plain


def _stems(*texts: str) -> frozenset[str]:
    return frozenset(stem(word) for text in texts for word in _WORD.findall(text.lower()))
