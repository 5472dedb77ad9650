"""Every error this package raises on purpose.

EdgeAgentError
|-- ConfigurationError    (ValueError)    the configuration file; exit code 78
|-- ModelError            (ValueError)    a model folder that must not be loaded
|-- SensorError           (OSError)       a device that failed; retried by its sensor
|-- LanguageModelError    (RuntimeError)  the worker died, was late, or refused the input
|-- VoiceError            (RuntimeError)  a recogniser or a speech program is missing or failed
`-- DeliveryError         (OSError)       the broker cannot be reached or refused us
"""

from __future__ import annotations


class EdgeAgentError(Exception):
    """The base of every deliberate error. `hint` is the next step, shown to the user on its own line."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(EdgeAgentError, ValueError):
    """A wrong configuration: `key` is the dotted path of the setting at fault."""

    def __init__(self, message: str, *, key: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


class ModelError(EdgeAgentError, ValueError):
    """A model folder that is incomplete, altered or does not fit."""


class SensorError(EdgeAgentError, OSError):
    """A device that could not be opened or read."""


class LanguageModelError(EdgeAgentError, RuntimeError):
    """The language model's worker died, missed its deadline, or refused its input."""


class VoiceError(EdgeAgentError, RuntimeError):
    """A recogniser, a speech program or one of their models is missing or failed."""


class DeliveryError(EdgeAgentError, OSError):
    """The broker cannot be reached or refused the connection."""
