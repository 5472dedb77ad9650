"""Which sensors and tasks the words of a question name. Pure tables and look-ups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_agent.manifest import Slot

MODALITY_WORDS: dict[str, tuple[str, ...]] = {
    "imu": ("imu", "accelerometer", "gyroscope", "motion sensor", "motion sensors"),
    "audio": ("microphone", "mic"),
    "lidar": ("lidar", "laser scanner", "laser"),
    "thermal": ("thermal camera", "thermal sensor", "infrared camera", "infrared sensor", "thermal"),
    "depth": ("depth camera", "depth sensor"),
    "video": ("video camera", "video"),
    "gps": ("gps",),
    "gaze": ("gaze tracker", "eye tracker", "gaze sensor"),
    "camera": ("camera", "cameras", "webcam"),
    "pose": ("pose sensor", "skeleton tracker"),
    "image": ("image sensor", "image", "picture", "photo"),
    "capacitance": ("capacitive sensor", "touch sensor", "touch panel", "touchpad"),
    "environment": (
        "air sensor",
        "room sensor",
        "room sensors",
        "climate sensor",
        "thermometer",
        "hygrometer",
    ),
}
"""Words that name a sensor of a modality; a longer one is taken before a shorter one inside it."""

FOREIGN_WORDS = (
    "radar", "barometer", "smoke detector", "anemometer", "geiger counter",
    "heart rate sensor",
)  # fmt: skip
"""Sensors of none of the twelve modalities."""

_YES_NO = ("is ", "are ", "am ", "do you hear ", "can you hear ", "would you say ", "does it sound ")

_NUMBER_WORDS = (
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

# "the moisture sensor" names a sensor; "which sensor", "the other sensor" and "your sensor" do not.
_ANY_SENSOR = re.compile(r"\b(\w+) (?:sensor|sensors|detector|detectors)\b")
_PLAIN = frozenset(
    (
        "a", "all", "also", "and", "any", "are", "as", "best", "both", "by", "can", "do", "does", "each",
        "every",
        "few", "first", "for", "from", "get", "good", "has", "have", "in", "is", "its", "last", "list",
        "main",
        "many", "me", "missing", "more", "most", "motion", "my", "name", "new", "no", "of", "one", "only",
        "or",
        "other", "our", "read", "same", "second", "show", "single", "some", "sound", "than", "that", "the",
        "their", "there", "these", "this", "those", "three", "to", "two", "use", "what", "which", "whose",
        "with",
        "without", "working", "your",
    )
)  # fmt: skip


def has_words(text: str, words: str) -> bool:
    """Whether `words` stand in `text` as whole words."""
    return re.search(rf"\b{re.escape(words)}\b", text) is not None


def absent_sensors(asked: str, slots: Sequence[Slot]) -> list[str]:
    """The sensors that a normalised question names and that none of `slots` is."""
    owned = {s.modality for s in slots}
    own_words = {_noun(s) for s in slots} | {w for m in owned for w in MODALITY_WORDS[m]}
    foreign = [w for m, words in MODALITY_WORDS.items() if m not in owned for w in words]
    found: list[str] = []
    for words in sorted([*foreign, *FOREIGN_WORDS], key=len, reverse=True):
        if has_words(asked, words) and not any(words in f for f in found):
            found.append(words)
    for match in _ANY_SENSOR.finditer(asked):
        kind, name = match[1], f"{match[1]} sensor"
        known = kind in _PLAIN or kind in own_words or kind in owned or name in own_words
        if not known and not any(kind in f for f in found):
            found.append(name)
    return found


def named_slots(asked: str, slots: Sequence[Slot]) -> list[Slot]:
    """The slots that a normalised question names: by their own noun, or all of a modality."""
    own = [s for s in slots if has_words(asked, _noun(s))]
    return own or [s for s in slots if any(has_words(asked, w) for w in MODALITY_WORDS[s.modality])]


def slot_words(slot: Slot) -> tuple[str, ...]:
    """The words that name a slot."""
    return _noun(slot), *MODALITY_WORDS[slot.modality]


def concerns(asked: str, words: Sequence[str]) -> bool:
    """Whether a normalised question holds one of the words."""
    return any(has_words(asked, w) for w in words)


def asks_whether(asked: str) -> bool:
    """Whether a normalised question wants a yes or a no."""
    return asked.startswith(_YES_NO)


def number_words(text: str) -> set[str]:
    """Numbers spelled out, as digits. "one" is left out: it is a pronoun more often than a number."""
    lowered = text.lower()
    return {str(i) for i, word in enumerate(_NUMBER_WORDS, start=2) if has_words(lowered, word)}


def _noun(slot: Slot) -> str:
    return slot.description.lower().removeprefix("the ").strip()
