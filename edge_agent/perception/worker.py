"""The daemon's end of the language model's process: one request at a time, each with a deadline.

The process is started and stopped by whoever owns it (`runtime`), never by a destructor. A worker that
died or hangs is replaced after a delay that grows with each failure; nothing waits for it meanwhile.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import edge_agent
from edge_agent.errors import LanguageModelError, ModelError
from edge_agent.manifest import Manifest
from edge_agent.perception import tools
from edge_agent.perception.frames import Decoder, Frame, encode

MODULE = "edge_agent.perception.worker_main"
STOP_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the process loads and what it may cost. `memory_mib` caps its address space."""

    path: str
    prefix: str
    question: str
    max_answer_tokens: int
    context_tokens: int
    threads: int = 1
    memory_mib: int = 2048
    nice: int = 5
    """Below the daemon: wording an answer must not delay a sensor."""
    exact: bool = False
    call_grammar: str = ""
    """What an answer that begins as JSON is held to (GBNF); empty: nothing is."""


def settings_from(
    folder: Path, manifest: Manifest, *, threads: int = 1, memory_mib: int = 2048, nice: int = 5
) -> WorkerSettings:
    """The settings that a model folder asks for."""
    spec = manifest.language
    return WorkerSettings(
        path=str((folder / spec.file).absolute()),
        prefix=spec.prefix,
        question=spec.question,
        max_answer_tokens=spec.max_answer_tokens,
        context_tokens=spec.context_tokens,
        threads=threads,
        memory_mib=memory_mib,
        nice=nice,
        call_grammar=tools.grammar(manifest),
    )


class WorkerProcess:
    """One process and its two pipes. Not for more than one thread at a time, but `kill` is for any."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Start the process and tell it what to load; `wait_ready` says whether it could."""
        self._decoder = Decoder()
        self._next_id = 0
        self.ready: Frame | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(settings.threads),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._write(encode(Frame(asdict(settings))), time.monotonic() + STOP_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """The process id, for measurements."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def poll_ready(self, timeout_s: float) -> bool:
        """Whether the model is loaded, after at most `timeout_s`.

        Raises ModelError when it cannot be loaded, LanguageModelError when the process died of trying.
        """
        if self.ready is None and (frame := self._receive(time.monotonic() + timeout_s)) is not None:
            if frame.header["verb"] != "ready":
                raise ModelError(f"the language model: {frame.header['error']}", hint=frame.header["hint"])
            self.ready = frame
        return self.ready is not None

    def send(self, frame: Frame, deadline: float) -> int:
        """Send a request; its id comes back with the reply. Raises LanguageModelError when it cannot."""
        self._next_id += 1
        self._write(encode(Frame({**frame.header, "id": self._next_id}, frame.arrays)), deadline)
        return self._next_id

    def receive(self, identity: int, deadline: float) -> Frame | None:
        """The reply to a request, None at the deadline. Replies to earlier requests are discarded.

        Raises LanguageModelError when the process died.
        """
        while (frame := self._receive(deadline)) is not None:
            if frame.header.get("id") == identity:
                return frame
        return None

    def kill(self) -> None:
        """End the process at once; whoever waits for it is woken by the end of its output."""
        self._process.kill()

    def close(self) -> None:
        """End the process by closing its input, or kill it after STOP_TIMEOUT_S; then free the pipes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _receive(self, deadline: float) -> Frame | None:
        while (frame := self._decoder.next_frame()) is None:
            if not _wait(self._output, select.POLLIN, deadline):
                return None
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                continue
            if not data:
                raise LanguageModelError(f"the language model's process ended ({self._ending()})")
            self._decoder.feed(data)
        return frame

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            if not _wait(self._input, select.POLLOUT, deadline):
                raise LanguageModelError("the language model's process reads nothing")
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise LanguageModelError(f"the language model's process ended ({self._ending()})") from error

    def _ending(self) -> str:
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "its output is closed"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _wait(descriptor: int, event: int, deadline: float) -> bool:
    """Whether the pipe is ready before the deadline. A closed pipe is ready: using it tells why."""
    poller = select.poll()  # unlike select, without a limit on the number of the descriptor
    poller.register(descriptor, event)
    return bool(poller.poll(max(0.0, deadline - time.monotonic()) * 1e3))


def _environment(threads: int) -> dict[str, Any]:
    """The daemon's environment, with the package importable and no idle thread pools."""
    home = str(Path(edge_agent.__file__).parent.parent)
    path = os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
