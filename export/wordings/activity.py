"""The activity that a phone and a watch feel. Its wordings are those of `export.questions`."""

from __future__ import annotations

from export import questions as q
from export.wordings.common import Wordings

_ACTIVITY = "activity_recognition"

ACTIVITY = Wordings(
    query=q.ACTIVITY_QUERY,
    yes_no=q.YES_NO[_ACTIVITY],
    false_premise=q.FALSE_PREMISE[_ACTIVITY],
    choice=q.CHOICE[_ACTIVITY],
    why=q.WHY[_ACTIVITY],
    words=(
        "the person", "this person", "doing", "activity", "action", "movement", "motion", "moving how",
        "wearer", "the user", "he", "she", "they", "am i", "do i do", "does somebody do", "seeing them do",
        "the phone and the watch", "seated", "sitting down", "standing up", "turning around", "walking",
    ),
)  # fmt: skip
"""Choices such as "{x} or {y}" are known by the phrases of the classes alone."""
