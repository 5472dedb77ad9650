"""The sound that a microphone hears. Its wordings are those of `export.questions`."""

from __future__ import annotations

from export import questions as q
from export.wordings.common import Wordings

_EVENT = "event_detection"

SOUND = Wordings(
    query=q.EVENT_QUERY,
    yes_no=q.YES_NO[_EVENT],
    false_premise=q.FALSE_PREMISE[_EVENT],
    choice=q.CHOICE[_EVENT],
    why=q.WHY[_EVENT],
    words=(
        "hear", "hears", "heard", "hearing", "sound", "sounds", "noise", "listen", "loud", "quiet", "ear",
        "ears", "audio", "audible", "microphone", "what is in the air", "dog barking", "rain falling",
        "sea waves", "baby crying", "clock ticking", "sneezing", "helicopter noise", "chainsaw noise",
        "rooster crowing", "fire crackling", "silence",
    ),
)  # fmt: skip
"""Wordings such as "is there {x}" are known by the phrases of the classes alone."""
