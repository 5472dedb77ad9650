"""A question and a percept in, an answer out, always in time.

The language model words it where it can; a deterministic sentence built from the percept stands in where
the worker is dead, late, busy or wrong, marked as such. This is the only way to reach the model.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from edge_agent.errors import EdgeAgentError, LanguageModelError
from edge_agent.perception import facts
from edge_agent.perception.answer import Answers, Draft
from edge_agent.perception.dialog import Turn, Written
from edge_agent.perception.frames import Frame
from edge_agent.perception.prompt import normalise_question
from edge_agent.perception.worker import WorkerProcess, WorkerSettings
from edge_agent.types import Answer, AnswerSource, Backoff, Clock, Percept, WordedBy

LOAD_TIMEOUT_S = 60.0
HANG_S = 10.0
"""A worker this long behind its deadline hangs, and is replaced."""
_MARGIN_S = 0.02
"""What is left of a deadline for the way back."""


class LanguageClient:
    """The language model behind its process. `ask` from one thread, `supervise` and `stop` from any.

    `counters` counts asked, language_model, fallback, refusal, late, failed, objected, restarts.
    `reason` says why no model is at hand; it is empty when one is.
    """

    def __init__(self, settings: WorkerSettings, answers: Answers, clock: Clock, backoff: Backoff) -> None:
        self.settings = settings
        self.answers = answers
        self.counters: Counter[str] = Counter()
        self.reason = "not started"
        self._clock = clock
        self._backoff = backoff
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._stopped = True
        self._restart_at = 0.0
        self._begun_at = 0.0
        self._late: tuple[int, float] | None = None
        """The request that nobody waits for any more, and when its worker counts as hanging."""

    # -- owned by the runtime --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process; it loads in the background."""
        with self._lock:
            self._stopped = False
            self._begin()

    def wait_ready(self, timeout_s: float) -> None:
        """Block until the model is loaded.

        Raises ModelError when it cannot be, LanguageModelError when it is not in time.
        """
        with self._lock:
            if self._worker is None or not self._worker.poll_ready(timeout_s):
                raise LanguageModelError(f"the language model was not loaded within {timeout_s:g} s")
            self.reason = ""

    def stop(self) -> None:
        """End the process, within about a second, even while a question waits for it."""
        self._stopped = True
        if (worker := self._worker) is not None:
            worker.kill()
        with self._lock:
            self._discard("stopped")

    def supervise(self) -> None:
        """Replace a worker that died or hangs; call it about once a second. Never blocks."""
        if self._lock.acquire(blocking=False):
            try:
                self._look_after()
            finally:
                self._lock.release()

    @property
    def pid(self) -> int | None:
        """The process id of the worker, None without one."""
        return None if self._worker is None else self._worker.pid

    @property
    def ready(self) -> bool:
        """Whether a question would reach a loaded model."""
        return self._worker is not None and self._worker.ready is not None and self._worker.alive

    # -- questions -------------------------------------------------------------------------------------

    def ask(
        self, percept: Percept | None, question: str, deadline_s: float, history: Sequence[Turn] = ()
    ) -> Answer:
        """Answer within `deadline_s` seconds, whatever becomes of the language model."""
        began = time.monotonic()
        now_ns = self._clock.monotonic_ns()
        self.counters["asked"] += 1
        draft, first_token_ms = self.answers.screen(question, percept, now_ns), 0.0
        if draft is None:
            assert percept is not None  # screened
            draft, first_token_ms = self._word(percept, question, began + deadline_s, history)
        answer = self.answers.answer(question, draft, percept, now_ns)
        self.counters[answer.source.value] += 1
        latency_ms = 1e3 * (time.monotonic() - began)
        by: WordedBy = "lm" if answer.source is AnswerSource.LANGUAGE_MODEL else "rules"
        return replace(answer, latency_ms=latency_ms, first_token_ms=first_token_ms, worded_by=by)

    def write(self, percept: Percept | None, question: str, grammar: str, deadline_s: float) -> Written:
        """What the model writes within a grammar, with its places and unchecked; at once where it cannot.

        The percept is what it is conditioned on. Without one nothing is asked of it.
        """
        if percept is None:
            return Written("", "there is no percept to condition the language model on")
        if not self.ready:
            return Written("", f"no language model: {self.reason or 'it is gone'}")
        try:
            reply = self._request(percept, question, time.monotonic() + deadline_s, (), grammar)
        except EdgeAgentError as error:
            self.counters["failed"] += 1
            return Written("", str(error))
        if reply is None:
            self.counters["late"] += 1
            return Written("", "the language model was late")
        first_token_ms = float(reply.header["first_token_ms"])
        if reply.header["stop"] != "end":
            return Written("", "the language model came to no end", first_token_ms)
        return Written(reply.header["text"], "", first_token_ms, float(reply.header["probability"]))

    def _word(
        self, percept: Percept, question: str, deadline: float, history: Sequence[Turn]
    ) -> tuple[Draft, float]:
        try:
            reply = self._request(percept, question, deadline, history)
        except EdgeAgentError as error:
            self.counters["failed"] += 1
            return self._fallback(percept, question, str(error)), 0.0
        if reply is None:
            self.counters["late"] += 1
            return self._fallback(percept, question, "the language model was late"), 0.0
        first_token_ms = float(reply.header["first_token_ms"])
        text = whole_sentences(reply.header["text"], cut=reply.header["stop"] != "end")
        text, unknown = facts.fill(text, facts.of_percept(self.answers.manifest, percept))
        objection = f"{{{unknown}}} was not measured" if unknown else ""
        if objection := objection or self.answers.objection(text, percept, question):
            self.counters["objected"] += 1
            return self._fallback(percept, question, objection), first_token_ms
        return Draft(text, AnswerSource.LANGUAGE_MODEL, ""), first_token_ms

    def _fallback(self, percept: Percept, question: str, reason: str) -> Draft:
        return Draft(self.answers.fallback(percept, question), AnswerSource.FALLBACK, reason)

    def _request(
        self, percept: Percept, question: str, deadline: float, history: Sequence[Turn], grammar: str = ""
    ) -> Frame | None:
        """The reply, None when it is late. Raises LanguageModelError without a worker to ask."""
        with self._lock:
            self._look_after()
            worker = self._require(deadline)
            identity = worker.send(_generate(percept, question, deadline, history, grammar), deadline)
            try:
                reply = worker.receive(identity, deadline)
            except LanguageModelError as error:
                self._lose(str(error))
                raise
            if reply is None:
                self._late = (identity, time.monotonic() + HANG_S)
                return None
            if reply.header["verb"] == "refused":
                raise LanguageModelError(reply.header["error"], hint=reply.header["hint"])
            self._backoff.reset()
            return None if reply.header["stop"] == "deadline" else reply

    def _require(self, deadline: float) -> WorkerProcess:
        worker = self._worker
        if worker is None or self._stopped:
            raise LanguageModelError(f"no language model: {self.reason}")
        try:
            ready = worker.poll_ready(max(0.0, deadline - time.monotonic()))
        except EdgeAgentError as error:
            self._lose(str(error))
            raise
        if not ready:
            raise LanguageModelError("the language model is still loading")
        if self._late is not None:
            raise LanguageModelError("the language model is busy with an earlier question")
        self.reason = ""
        return worker

    # -- the process; all with the lock held -----------------------------------------------------------

    def _look_after(self) -> None:
        if self._stopped:
            return
        now = time.monotonic()
        if self._worker is None:
            if now >= self._restart_at:
                self.counters["restarts"] += 1
                self._begin()
            return
        try:
            if self._worker.poll_ready(0.0):
                self.reason = ""
                self._catch_up(self._worker, now)
            elif now - self._begun_at > LOAD_TIMEOUT_S:
                raise LanguageModelError(f"it was not loaded within {LOAD_TIMEOUT_S:g} s")
            if not self._worker.alive:
                raise LanguageModelError("its process ended")
        except EdgeAgentError as error:
            self._lose(str(error))

    def _catch_up(self, worker: WorkerProcess, now: float) -> None:
        """Take the reply that came too late, or give its worker up."""
        if self._late is None:
            return
        identity, hangs_at = self._late
        if worker.receive(identity, now) is not None:
            self._late = None
        elif now > hangs_at:
            raise LanguageModelError("it hung")

    def _begin(self) -> None:
        self._begun_at = time.monotonic()
        self._late = None
        self.reason = "loading"
        try:
            self._worker = WorkerProcess(self.settings)
        except (OSError, LanguageModelError) as error:
            self._lose(str(error))

    def _lose(self, reason: str) -> None:
        self._discard(reason)
        self._restart_at = time.monotonic() + self._backoff.next_s()

    def _discard(self, reason: str) -> None:
        worker, self._worker, self._late = self._worker, None, None
        self.reason = reason
        if worker is not None:
            worker.kill()
            worker.close()


def _generate(
    percept: Percept, question: str, deadline: float, history: Sequence[Turn], grammar: str
) -> Frame:
    header = {
        "verb": "generate",
        "question": normalise_question(question),
        "history": [(normalise_question(t.question), t.answer) for t in history],
        "max_tokens": None,
        "grammar": grammar,
        "deadline_s": max(0.0, deadline - time.monotonic() - _MARGIN_S),
    }
    return Frame(header, {"soft": percept.conditioning.soft, "control": percept.conditioning.control})


def whole_sentences(text: str, *, cut: bool) -> str:
    """The text, without an unfinished last sentence where it was cut; empty when none is whole."""
    if not cut:
        return text.strip()
    ends = list(re.finditer(r"[.!?](?=\s|$)", text))
    return text[: ends[-1].end()].strip() if ends else ""
