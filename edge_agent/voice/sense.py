"""Whether a sentence asks something that can be answered, by the rules of the ask path."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC

from edge_agent.manifest import Manifest
from edge_agent.memory import follow_ups
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.perception.answer import Answers, named_labels
from edge_agent.perception.prompt import normalise_question


class Sense:
    """For one model and the slots that have a sensor."""

    def __init__(self, manifest: Manifest, slots: Collection[str]) -> None:
        self._lexicon = Lexicon(manifest, slots)
        self._grammar = Grammar(self._lexicon, UTC)
        self._answers = Answers(manifest, slots)

    def of(self, text: str) -> bool:
        """Whether `text` is about the past, or about something that is perceived now."""
        asked = normalise_question(text).rstrip("?")
        if not asked:
            return False
        if follow_ups.kind_of(asked):
            return True
        parsed = self._grammar.parse(text, time.time_ns())
        if parsed is not None:
            return not isinstance(parsed, Refused)
        named = any(named_labels(text, head) for head in self._lexicon.heads)
        concerned = self._answers.concerned(text) or self._lexicon.named_slots(asked)
        return named or bool(concerned) or self._lexicon.target(asked) is not None
