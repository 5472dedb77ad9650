"""The classes of the shipped tasks, how each is said, and how the slots are named in a sentence."""

from __future__ import annotations

ACTIVITY = "activity_recognition"
EVENT = "event_detection"

PHRASES: dict[str, dict[str, str]] = {
    ACTIVITY: {
        "seated": "seated",
        "sitting_down": "sitting down",
        "standing_up": "standing up",
        "turning": "turning around",
        "walking": "walking",
    },
    EVENT: {
        "dog": "dog barking",
        "rain": "rain falling",
        "sea_waves": "sea waves",
        "baby_cry": "baby crying",
        "clock_tick": "clock ticking",
        "sneeze": "sneezing",
        "helicopter": "helicopter noise",
        "chainsaw": "chainsaw noise",
        "rooster": "rooster crowing",
        "fire_crackling": "fire crackling",
        "silence": "silence",
    },
}
"""task -> label -> phrase; the first word of each phrase is unique within its task."""

READOUT: dict[str, str] = {ACTIVITY: " The person is", EVENT: " It sounds like"}
"""The canonical words before the phrase; the next token is the class."""

CANONICAL_QUESTION: dict[str, str] = {
    ACTIVITY: "what is the person doing?",
    EVENT: "what do you hear?",
}

SLOTS: dict[str, str] = {"imu_phone": "the phone", "imu_watch": "the watch", "audio": "the microphone"}
"""slot -> how a person names it."""

TASK_SLOTS: dict[str, tuple[str, ...]] = {ACTIVITY: ("imu_phone", "imu_watch"), EVENT: ("audio",)}


def labels(task: str) -> tuple[str, ...]:
    """The labels of a task in the order of its head."""
    return tuple(PHRASES[task])
