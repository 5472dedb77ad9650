"""The table `[voice]` of the configuration (docs/voice.md)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edge_agent.config_types import FilePath, Frozen, Name

TranscriberName = Literal["moonshine", "pocketsphinx", "whisper.cpp", "vosk", "sherpa-onnx"]
OF_A_GRAMMAR = ("moonshine", "pocketsphinx")
"""Recognisers that bring their model, and are led by what may be asked."""
SynthesiserName = Literal["espeak-ng", "piper"]


class Button(Frozen):
    """A push-to-talk button: a line over a serial port, as a microcontroller sends it for a pin."""

    port: str = Field(min_length=1, description="device file, for example /dev/ttyACM1")
    baud_rate: int = Field(115_200, ge=1200, le=12_000_000, description="bits per second")
    pressed: str = Field("pressed", min_length=1, max_length=80, description="the line that it sends")
    debounce_s: float = Field(
        0.3, ge=0, le=10, description="seconds after a press in which another one is the same"
    )


class VoiceSettings(Frozen):
    """Questions that are spoken, and answers that are. Off unless it is switched on."""

    enabled: bool = Field(False, description="whether anything is listened to for speech")
    microphone: Name | None = Field(
        None, description='the [[sensor]] of kind "microphone" to listen to; default: the first one'
    )
    loudspeaker: str | None = Field(None, min_length=1, description="part of its name; default: the system's")
    loudspeaker_rate_hz: int = Field(48_000, ge=8000, le=192_000, description="rate the device is opened at")
    wake_phrase: str = Field(
        "hey computer", max_length=80, description='English words; "": none, only push-to-talk'
    )
    barge_in: bool = Field(True, description="the wake phrase interrupts an answer")
    stop_phrase: str = Field(
        "stop talking", max_length=80, description='what ends an answer that is being spoken; "": nothing'
    )
    button: Button | None = Field(None, description="table [voice.button]; default: no button")
    transcriber: TranscriberName = Field("moonshine", description="what turns speech into words")
    transcriber_model: FilePath | None = Field(
        None, description="the recogniser's model; moonshine and pocketsphinx bring their own"
    )
    synthesiser: SynthesiserName = Field("espeak-ng", description="what speaks")
    synthesiser_model: FilePath | None = Field(None, description="the model of piper")
    speaker: str = Field("en", min_length=1, max_length=60, description="voice of espeak-ng")
    words_per_minute: int = Field(160, ge=80, le=450, description="how fast espeak-ng speaks")
    chime: bool = Field(True, description="a short tone says that it listens now")
    led: FilePath | None = Field(
        None, description="brightness file of a light that is on while it listens; default: none"
    )
    patience_s: float = Field(6.0, ge=1, le=60, description="seconds to wait for speech to begin")
    question_s: float = Field(12.0, ge=1, le=60, description="seconds that a question may last")
    pause_s: float = Field(0.7, ge=0.2, le=5, description="seconds of silence that end a question")
    recognition_s: float = Field(8.0, ge=0.5, le=120, description="seconds that the recogniser may take")
    answer_s: float = Field(60.0, ge=1, le=600, description="seconds that an answer may be spoken")
    tail_s: float = Field(
        0.3, ge=0, le=3, description="seconds after its own sound in which it does not listen"
    )
    store_audio: bool = Field(False, description="true: keep the last 100 questions as WAV files")

    @model_validator(mode="after")
    def _models(self) -> VoiceSettings:
        if self.transcriber not in OF_A_GRAMMAR and self.transcriber_model is None:
            raise ValueError(f'transcriber = "{self.transcriber}" needs transcriber_model beside it')
        if self.synthesiser == "piper" and self.synthesiser_model is None:
            raise ValueError('synthesiser = "piper" needs synthesiser_model beside it')
        return self
