"""The voice of an agent: from its configuration to the stages of the voice loop. Nothing runs yet.

What cannot work is refused here: a microphone that is none, a program or a package that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.assembly import Parts
from edge_agent.config import Config
from edge_agent.config_voice import VoiceSettings
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.commands import Request
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.message import Message, Publish
from edge_agent.delivery.payloads import encode
from edge_agent.errors import ConfigurationError
from edge_agent.sensors.portaudio import portaudio_loudspeaker
from edge_agent.stages import Acquisition, Stage
from edge_agent.types import Answer, Float32
from edge_agent.voice.around import Ears, Surroundings
from edge_agent.voice.button import ButtonStage
from edge_agent.voice.detector import make_detector
from edge_agent.voice.kept import KeptAudio
from edge_agent.voice.led import Led
from edge_agent.voice.loop import VoiceLoop
from edge_agent.voice.machine import Event, Transition
from edge_agent.voice.mouth import Mouth
from edge_agent.voice.recogniser import LOAD_S, Recogniser, RemotePhrase, RemoteTranscriber
from edge_agent.voice.requirements import microphone_of
from edge_agent.voice.status import Counts, Status
from edge_agent.voice.synthesisers import make_synthesiser
from edge_agent.voice.understanding import Understanding
from edge_agent.wording import Job, Wording

ASKER = "voice"
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 30.0


def recogniser_settings(config: Config) -> dict[str, Any]:
    """What the recogniser's process loads."""
    voice = config.voice
    return {
        "wake": voice.wake_phrase,
        "stop": voice.stop_phrase,
        "transcriber": voice.transcriber,
        "transcriber_model": None if voice.transcriber_model is None else str(voice.transcriber_model),
        "model": str(config.model.path),
        "slots": sorted(set(config.perceived.values())),
        "names": sorted(config.sources),
    }


def try_out(config: Config) -> None:
    """Load what the recognisers need, once, in a process that ends again.

    Raises ConfigurationError for a phrase or a model that cannot be used, VoiceError when it takes too long.
    """
    recogniser = Recogniser(recogniser_settings(config), FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S))
    try:
        recogniser.start()
        recogniser.wait_ready(LOAD_S)
    finally:
        recogniser.stop()


@dataclass(frozen=True, slots=True)
class Voice:
    """The loop, what it is made of, and the process that the runtime owns."""

    loop: VoiceLoop
    stages: Sequence[Stage]
    recogniser: Recogniser
    mouth: Mouth

    def talk(self) -> str:
        """Push to talk; the state before."""
        state = self.loop.machine.state
        self.loop.talk()
        return str(state)

    def hush(self) -> str:
        """End what is being said; the state before."""
        state = self.loop.machine.state
        self.loop.hush()
        return str(state)

    def start(self) -> None:
        """Start the recogniser's process."""
        self.recogniser.start()

    def stop(self) -> None:
        """End what waits, and the process."""
        self.mouth.end()
        self.recogniser.stop()


def voice_of(
    parts: Parts,
    sensing: Sequence[Acquisition],
    wording: Wording,
    publish: Publish,
    failed: Callable[[ConfigurationError], None],
) -> Voice | None:
    """The voice as it is configured, None where it is off. Raises ConfigurationError or VoiceError."""
    settings = parts.config.voice
    if not settings.enabled:
        return None
    source = next(s for s in sensing if microphone_of(parts.config).name in s.healths)
    recogniser = Recogniser(recogniser_settings(parts.config), FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S))

    def ask(question: str, answered: Callable[[str], None]) -> bool:
        def done(answer: Answer) -> None:
            answered(answer.text)

        identity = new_id(parts.clock.wall_ns())
        request = Request(identity, question, asker=ASKER)
        return wording.jobs.offer(Job(identity, question, request, None, done))

    def tell(step: Transition, detail: str) -> None:
        publish(Message(parts.topics.voice, encode(status.message(step, detail)), retain=True))

    def counts() -> Counts:
        ignored = sum(loop.machine.ignored.values())
        return Counts(loop.answered, loop.dropped, ignored, recogniser.restarts)

    def report(event: Event, turn: int, detail: str) -> None:
        loop.happened(event, turn, detail)

    mouth = Mouth(
        make_synthesiser(settings),
        portaudio_loudspeaker,
        settings.loudspeaker,
        settings.loudspeaker_rate_hz,
        report,
    )
    understanding = Understanding(RemoteTranscriber(recogniser, settings.recognition_s), report)
    around = Surroundings(
        mouth, understanding, recogniser, ask, tell, failed,
        light=None if settings.led is None else Led(settings.led), keep=_keeper(parts),
    )  # fmt: skip
    health = next(iter(source.healths.values()))
    loop = VoiceLoop(settings, parts.clock, _ears(settings, recogniser, health), around)
    status = Status(parts.clock, counts)
    source.tap = loop.hear
    stages: list[Stage] = [loop, understanding, mouth]
    if settings.button is not None:
        stages.append(ButtonStage(settings.button, loop.talk, failed))
    return Voice(loop, stages, recogniser, mouth)


def _ears(settings: VoiceSettings, recogniser: Recogniser, health: Any) -> Ears:
    def phrase(name: str, text: str) -> RemotePhrase | None:
        return RemotePhrase(recogniser, name) if text else None

    return Ears(
        health, make_detector(), phrase("wake", settings.wake_phrase), phrase("stop", settings.stop_phrase)
    )


def _keeper(parts: Parts) -> Callable[[int, Float32], None] | None:
    if not parts.config.voice.store_audio:
        return None
    kept = KeptAudio(parts.config.node.state_directory / "questions")

    def keep(_turn: int, samples: Float32) -> None:
        kept.keep(new_id(parts.clock.wall_ns()), samples)

    return keep
