"""What is said aloud: the chime, and sentences. A stage of its own, since a loudspeaker takes its time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import soxr

from edge_agent.errors import EdgeAgentError, SensorError
from edge_agent.mailbox import Mailbox
from edge_agent.voice.chime import chime
from edge_agent.voice.machine import Event
from edge_agent.voice.types import Int16, Synthesiser

PIECE_S = 0.02
"""What is written at once, and how long to wait for room: how late it falls silent."""
STUCK_S = 2.0
"""A loudspeaker that takes nothing for so long is lost."""
HANGS_S = 10.0
_log = logging.getLogger(__name__)


class Output(Protocol):
    """An open loudspeaker (`sensors/portaudio.Loudspeaker`)."""

    latency_s: float

    @property
    def room(self) -> int:
        """How many samples can be written now without waiting."""
        ...

    def write(self, samples: Int16) -> None:
        """Play (n,) samples after those that wait."""
        ...


OpenLoudspeaker = Callable[[str | None, int], AbstractContextManager[Output]]
"""(device, rate_hz) -> an open one; SensorError when it cannot be opened now."""
Done = Callable[[Event, int, str], None]
"""(what happened, of which turn, what went wrong or "")."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What to play for which turn: a text, or the chime where it is None."""

    turn: int
    text: str | None
    stop: threading.Event = field(default_factory=threading.Event)


class Mouth:
    """`say`, `chime` and `hush` from any thread; `run` in one. `done` hears the end of each saying."""

    name = "voice loudspeaker"

    def __init__(
        self,
        synthesiser: Synthesiser,
        open_loudspeaker: OpenLoudspeaker,
        device: str | None,
        rate_hz: int,
        done: Done,
    ) -> None:
        self.spoken = 0
        self._synthesiser = synthesiser
        self._open = open_loudspeaker
        self._device = device
        self._rate_hz = rate_hz
        self._done = done
        self._sayings: Mailbox[Saying] = Mailbox(1)
        self._latest: Saying | None = None
        self._playing: Saying | None = None
        self._deaf_s: float | None = None
        """Since when it has been told to stop what it plays, as far as `problem` knows."""

    def say(self, turn: int, text: str | None) -> None:
        """Speak `text`, or chime, instead of what is being said."""
        self.hush()
        self._latest = Saying(turn, text)
        self._sayings.put(self._latest)

    def hush(self) -> None:
        """Fall silent within 0.1 s."""
        if self._latest is not None:
            self._latest.stop.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            saying = self._sayings.take(0.1)
            if saying is not None and not saying.stop.is_set():
                self._playing = saying
                self._play(saying)
                self._playing = None

    @property
    def problem(self) -> str:
        """Why the watchdog must not be fed: a driver or a program that cannot be stopped."""
        saying = self._playing
        if saying is None or not saying.stop.is_set():
            self._deaf_s = None
            return ""
        now_s = time.monotonic()
        since_s = self._deaf_s = now_s if self._deaf_s is None else self._deaf_s
        late_s = now_s - since_s
        return f"the loudspeaker has not fallen silent for {late_s:.0f} s" if late_s > HANGS_S else ""

    def end(self) -> None:
        """End a `run` that waits, and what it plays."""
        self.hush()
        self._sayings.wake()

    def _play(self, saying: Saying) -> None:
        event = Event.CHIMED if saying.text is None else Event.SPOKEN
        problem = ""
        try:
            self._speak(saying)
            self.spoken += saying.text is not None
        except EdgeAgentError as error:
            problem = f"{error}" + (f" ({error.hint})" if error.hint else "")
            _log.warning("not said aloud: %s", problem)
        except Exception as error:  # noqa: BLE001  # whatever a driver does, the loop goes on
            problem = f"{type(error).__name__}: {error}"
            _log.exception("not said aloud")
        self._done(event, saying.turn, problem)

    def _speak(self, saying: Saying) -> None:
        pieces: Iterable[Int16] = [chime(self._rate_hz)]
        if saying.text is not None:
            pieces = at_rate(self._synthesiser.speak(saying.text, saying.stop), self._rate_hz)
        with self._open(self._device, self._rate_hz) as output:
            for piece in pieces:
                if not self._write(output, piece, saying.stop):
                    return
            # When this has been taken, all that was before it has been heard.
            silence = np.zeros(round(output.latency_s * self._rate_hz), np.int16)
            self._write(output, silence, saying.stop)

    def _write(self, output: Output, samples: Int16, stop: threading.Event) -> bool:
        """Whether all (n,) samples were taken; False at `stop`. Raises SensorError when nothing is taken."""
        most, begin, waited_s = round(PIECE_S * self._rate_hz), 0, 0.0
        while begin < len(samples):
            count = min(output.room, most, len(samples) - begin)
            if stop.is_set():
                return False
            if count > 0:
                output.write(samples[begin : begin + count])
                begin, waited_s = begin + count, 0.0
                continue
            stop.wait(PIECE_S / 2)
            waited_s += PIECE_S / 2
            if waited_s >= STUCK_S:
                raise SensorError(f"the loudspeaker has taken no sound for {STUCK_S:g} s")
        return True


def at_rate(pieces: Iterable[tuple[Int16, int]], rate_hz: int) -> Iterator[Int16]:
    """Pieces of (samples, their rate) as pieces at `rate_hz`, low-pass filtered where that is slower."""
    stream, from_hz = None, 0
    for samples, piece_hz in pieces:
        if stream is None or piece_hz != from_hz:
            stream, from_hz = soxr.ResampleStream(piece_hz, rate_hz, 1, "int16"), piece_hz
        yield stream.resample_chunk(samples)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, np.int16), last=True)
