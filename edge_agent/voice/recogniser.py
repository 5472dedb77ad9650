"""The recognisers in a process of their own: they compute in C for long, and hold Python's lock meanwhile.

Inside the agent that would hold up every sensor; there it costs a sensor nothing, and a recogniser that dies
or hangs is replaced. One request at a time, over a socket: a verb, then float32 samples; JSON comes back.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from edge_agent.errors import ConfigurationError, VoiceError
from edge_agent.types import Backoff, Float32
from edge_agent.voice.types import Heard

MODULE = "edge_agent.voice.recogniser_main"
LOAD_S = 240.0
"""It takes seconds, but minutes while all else on a small machine starts as well."""
FEED_S = 3.0
"""For a piece of sound to be looked through for a phrase: a tenth of the time that it lasts, but a second and
more where ten programs want the processor; to end it and load it again would take longer."""
SEND_S = 2
MAX_REPLY_BYTES = 65_536
MAX_SAMPLES = 120 * 16_000
_NO_SOUND = np.zeros(0, np.float32)
_log = logging.getLogger(__name__)


class Recogniser:
    """Owns the process. `start` and `stop` are the runtime's, `supervise` the voice loop's, `call` anybody's.

    `settings` say what it loads (recogniser_main.load). `reason` says why it is not ready; empty when it is.
    """

    def __init__(self, settings: Mapping[str, Any], backoff: Backoff) -> None:
        self.reason = "not started"
        self.restarts = 0
        self._settings = dict(settings)
        self._backoff = backoff
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._ready = self._proven = self._stopped = False
        self._begun_s = self._again_s = 0.0

    @property
    def ready(self) -> bool:
        """Whether `call` would reach loaded models."""
        return self._ready

    @property
    def pid(self) -> int | None:
        """Of the process, for measurements; None without one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; it loads in the background."""
        ours, its = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_S, 0))
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-OO", "-m", MODULE, str(its.fileno())],  # 2 MB of docstrings less
                pass_fds=[its.fileno()], stdin=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
        self._line = Connection(ours.detach())
        self._line.send_bytes(json.dumps(self._settings).encode())
        self._begun_s, self.reason = time.monotonic(), "the recogniser is loading"

    def stop(self) -> None:
        """End the process, also while somebody waits for it."""
        self._stopped = True
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._discard("stopped")

    def supervise(self) -> None:
        """Take note of what became of it, and replace it; never blocks.

        Raises ConfigurationError when what the settings name cannot be loaded: no other start would help.
        """
        if self._stopped or not self._lock.acquire(blocking=False):
            return
        try:
            if self._process is None:
                if time.monotonic() >= self._again_s:
                    self.restarts += 1
                    self.start()
            elif self._process.poll() is not None and not self._has_word():
                self._lose(f"the recogniser ended with code {self._process.returncode}")
            elif not self._ready:
                self._await_models()
        finally:
            self._lock.release()

    def wait_ready(self, timeout_s: float) -> None:
        """Block until the models are loaded. Raises ConfigurationError; VoiceError when it takes longer."""
        never, deadline_s = threading.Event(), time.monotonic() + timeout_s
        while not self._ready:
            self.supervise()
            if time.monotonic() > deadline_s:
                raise VoiceError(f"the recogniser was not loaded within {timeout_s:g} s: {self.reason}")
            if not self._ready:
                never.wait(0.05)

    def call(self, verb: str, samples: Float32 = _NO_SOUND, timeout_s: float = FEED_S) -> dict[str, Any]:
        """What it says of samples (n,). Raises VoiceError when it is not there, dies, or is late."""
        if not self._lock.acquire(timeout=timeout_s):
            raise VoiceError("the recogniser is busy")
        try:
            if self._line is None or not self._ready:
                raise VoiceError(self.reason)
            try:
                self._line.send_bytes(verb.encode())
                self._line.send_bytes(np.ascontiguousarray(samples[-MAX_SAMPLES:], "<f4").tobytes())
                if not self._line.poll(timeout_s):
                    raise VoiceError(f"the recogniser took longer than {timeout_s:g} s")
                reply: dict[str, Any] = json.loads(self._line.recv_bytes(MAX_REPLY_BYTES))
            except (OSError, EOFError, ValueError, VoiceError) as error:
                reason = str(error) if isinstance(error, VoiceError) else "the recogniser was lost"
                self._lose(reason)
                raise VoiceError(reason) from error
        finally:
            self._lock.release()
        if "error" in reply:
            raise VoiceError(reply["error"], hint=reply["hint"])
        return reply

    # -- all with the lock held --------------------------------------------------------------------------

    def _has_word(self) -> bool:
        """Whether it said something before it ended."""
        return self._line is not None and not self._ready and self._line.poll(0)

    def _await_models(self) -> None:
        assert self._line is not None
        try:
            if not self._line.poll(0):
                if time.monotonic() - self._begun_s > LOAD_S:
                    self._lose(f"the recogniser was not loaded within {LOAD_S:g} s")
                return
            reply = json.loads(self._line.recv_bytes(MAX_REPLY_BYTES))
        except (OSError, EOFError, ValueError):
            self._lose("the recogniser ended while it was loading")
            return
        if "error" in reply:
            self._discard(reply["error"])
            self._stopped = True
            raise ConfigurationError(f"voice: {reply['error']}", key="voice", hint=reply["hint"])
        self._ready, self.reason = True, ""
        self._backoff.reset()

    def _lose(self, reason: str) -> None:
        _log.warning("%s", reason)
        self._discard(reason)
        self._again_s = time.monotonic() + self._backoff.next_s()

    def _discard(self, reason: str) -> None:
        process, line = self._process, self._line
        self._process = self._line = None
        self._ready, self.reason = False, reason
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            process.wait()


class RemotePhrase:
    """A WakePhrase in the recogniser's process: `name` is "wake" or "stop"."""

    def __init__(self, recogniser: Recogniser, name: str) -> None:
        self._recogniser = recogniser
        self._name = name

    def feed(self, samples: Float32) -> bool:
        """Whether the phrase ended in these samples (n,). Raises VoiceError."""
        return bool(self._recogniser.call(self._name, samples)["heard"])

    def reset(self) -> None:
        """Forget what was heard so far. Raises VoiceError."""
        self._recogniser.call(f"forget {self._name}")


class RemoteTranscriber:
    """A Transcriber in the recogniser's process, which may take `timeout_s`."""

    def __init__(self, recogniser: Recogniser, timeout_s: float) -> None:
        self._recogniser = recogniser
        self._timeout_s = timeout_s

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError."""
        reply = self._recogniser.call("transcribe", samples, self._timeout_s)
        return Heard(str(reply["text"]), float(reply["confidence"]))

    def close(self) -> None:
        """Nothing of its own: the process is the runtime's to end."""
