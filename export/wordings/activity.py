"""The activity that a phone and a watch feel. Its wordings are those of `export.questions`."""

from __future__ import annotations

from export import questions as q
from export.wordings.common import Wordings

_ACTIVITY = "activity_recognition"
_REPLACED = {
    "what is happening": "what is happening to the person",
    "what posture is it": "what movement is it",
    "what is the posture": "what is the movement",
    "which posture is that": "which activity is that",
    "in which posture is the person": "at which activity is the person",
}
"""A posture is read from a thermal array, and what happens from any sensor."""

ACTIVITY = Wordings(
    query=tuple(_REPLACED.get(w, w) for w in q.ACTIVITY_QUERY),
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
