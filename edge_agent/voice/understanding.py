"""From sound to words, in a thread of its own: a recogniser that takes long holds up nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edge_agent.errors import EdgeAgentError
from edge_agent.mailbox import Mailbox
from edge_agent.types import Float32
from edge_agent.voice.machine import Event
from edge_agent.voice.types import Transcriber

_log = logging.getLogger(__name__)


class Understanding:
    """`take` from any thread, `run` in one. `done` hears (event, turn, the words or what went wrong)."""

    name = "voice recogniser"

    def __init__(self, transcriber: Transcriber, done: Callable[[Event, int, str], None]) -> None:
        self._transcriber = transcriber
        self._done = done
        self._utterances: Mailbox[tuple[int, Float32]] = Mailbox(1)

    @property
    def problem(self) -> str:
        """Never any: a recogniser that hangs is replaced (recogniser.py)."""
        return ""

    def take(self, turn: int, samples: Float32) -> None:
        """Find out what was said in samples (n,)."""
        self._utterances.put((turn, samples))

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            if (utterance := self._utterances.take(0.1)) is not None:
                self._understand(*utterance)
        self._transcriber.close()

    def _understand(self, turn: int, samples: Float32) -> None:
        try:
            heard = self._transcriber.transcribe(samples)
        except EdgeAgentError as error:
            _log.warning("not understood: %s", error)
            self._done(Event.UNHEARD, turn, str(error))
            return
        self._done(Event.HEARD if heard.text else Event.UNHEARD, turn, heard.text)
