"""What the voice loop listens with and whom it talks to, as it sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agent.errors import ConfigurationError
from edge_agent.types import Float32, SensorHealth
from edge_agent.voice.machine import Transition
from edge_agent.voice.types import SpeechDetector, WakePhrase


class Speaker(Protocol):
    """Who says things aloud (mouth.Mouth)."""

    def say(self, turn: int, text: str | None) -> None:
        """Speak `text`, or chime where it is None; then SPOKEN or CHIMED happens."""
        ...

    def hush(self) -> None:
        """Fall silent."""
        ...


class Understander(Protocol):
    """Who turns sound into words (understanding.Understanding)."""

    def take(self, turn: int, samples: Float32) -> None:
        """Begin with samples (n,); then HEARD or UNHEARD happens."""
        ...


class Recognisers(Protocol):
    """The process behind phrases and words (recogniser.Recogniser)."""

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        ...

    @property
    def reason(self) -> str:
        """Why it cannot."""
        ...

    def supervise(self) -> None:
        """Look after it; raises ConfigurationError when that is in vain."""
        ...


class Light(Protocol):
    """What shows that it listens (led.Led)."""

    def show(self, *, on: bool) -> None:
        """Switch it."""
        ...


@dataclass(frozen=True, slots=True)
class Ears:
    """What the loop listens with; a phrase that is None is not waited for. `health` is the microphone's."""

    health: SensorHealth
    detector: SpeechDetector
    wake: WakePhrase | None = None
    stop: WakePhrase | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whom the loop talks to.

    `ask` takes a question and calls back with the answer's text, or is False when too many wait. `tell` hears
    of every step, with what more there is to say about it. `keep` gets each question's sound, if anybody.
    """

    speaker: Speaker
    understander: Understander
    recognisers: Recognisers
    ask: Callable[[str, Callable[[str], None]], bool]
    tell: Callable[[Transition, str], None]
    failed: Callable[[ConfigurationError], None]
    light: Light | None = None
    keep: Callable[[int, Float32], None] | None = None
