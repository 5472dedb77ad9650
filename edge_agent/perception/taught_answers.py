"""Sentences about taught classes: from the percept alone, because no language model was trained on them."""

from __future__ import annotations

from collections.abc import Collection

from edge_agent.manifest import Manifest
from edge_agent.perception.answer import AnswerLimits, Answers, Draft
from edge_agent.perception.taught import Taught
from edge_agent.types import AnswerSource, Percept


class TaughtAnswers(Answers):
    """The rules for a model that was taught more: what concerns a taught class is said at once."""

    def __init__(
        self,
        manifest: Manifest,
        taught: Taught,
        configured: Collection[str] | None = None,
        limits: AnswerLimits | None = None,
    ) -> None:
        super().__init__(taught.extend(manifest), configured, limits)
        self._taught = {head.name for head in taught.heads.values()}

    def screen(self, question: str, percept: Percept | None, now_ns: int) -> Draft | None:
        """As for any model; and the plain sentence where a taught class that can be read is asked about."""
        draft = super().screen(question, percept, now_ns)
        if draft is not None or percept is None:
            return draft
        if not self._taught & set(self.concerned(question)) & percept.tasks.keys():
            return None
        return Draft(self.fallback(percept, question), AnswerSource.FALLBACK, "a taught class")


def answers(manifest: Manifest, configured: Collection[str], taught: Taught | None) -> Answers:
    """The rules for a model, and for what it was taught."""
    return Answers(manifest, configured) if taught is None else TaughtAnswers(manifest, taught, configured)
