"""What a question asks for, by the product's own rules: two texts with one intent get one answer."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from edge_agent.manifest import Manifest
from edge_agent.memory import follow_ups
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.perception import tools, vocabulary
from edge_agent.perception.answer import Answers, named_labels
from edge_agent.perception.prompt import normalise_question

NOW_NS = int(datetime(2026, 3, 27, 15, 40, tzinfo=UTC).timestamp()) * 1_000_000_000
_ABOUT_THE_ANSWER = {
    "before": follow_ups._BEFORE,  # noqa: SLF001
    "sensor": follow_ups._SENSOR,  # noqa: SLF001
    "sure": follow_ups._SURE,  # noqa: SLF001
    "so long": follow_ups._SO_LONG,  # noqa: SLF001
}


class Intents:
    """For one model and the slots that have a sensor."""

    def __init__(self, manifest: Manifest, slots: tuple[str, ...]) -> None:
        self._lexicon = Lexicon(manifest, slots)
        self._grammar = Grammar(self._lexicon, ZoneInfo("Europe/Brussels"))
        self._answers = Answers(manifest, slots)

    def of(self, text: str) -> object:
        """Comparable: the typed query, or what of the present is asked; None for no text."""
        asked = normalise_question(text).rstrip("?")
        if not asked:
            return None
        for name, pattern in _ABOUT_THE_ANSWER.items():
            if pattern.fullmatch(asked):
                return name
        if follow_ups._AND.match(asked) and not follow_ups._WHOLE.search(asked):  # noqa: SLF001  # another time
            return "follow", self._parsed(f"what happened {asked.removeprefix('what about')}")
        return self._parsed(text) or self._now(text)

    def _parsed(self, text: str) -> object:
        parsed = self._grammar.parse(text, NOW_NS)
        return ("refused", parsed.reason) if isinstance(parsed, Refused) else parsed

    def _now(self, text: str) -> object:
        asked = normalise_question(text)
        labels = tuple((head.name, tuple(named_labels(text, head))) for head in self._lexicon.heads)
        return (
            "now",
            tuple(self._answers.concerned(text)),
            labels,
            vocabulary.asks_whether(asked),
            vocabulary.concerns(asked, tools.ADVICE_WORDS),
            self._lexicon.named_slots(asked),
        )
