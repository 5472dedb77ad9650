"""The slow path: puts into words what is asked and what happens. A stage, as those of `stages.py`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from edge_agent.askers import Askers
from edge_agent.assembly import Parts
from edge_agent.clock import NS_PER_S
from edge_agent.delivery import payloads
from edge_agent.delivery.commands import Commands, Refusal, Request
from edge_agent.delivery.message import Kind, Message, Publish
from edge_agent.delivery.replies import replies
from edge_agent.mailbox import Mailbox
from edge_agent.memory.telling import by_model
from edge_agent.perception.dialog import Turn, Written
from edge_agent.types import Answer, AnswerSource, Percept
from edge_agent.vitals import Latencies

QUESTIONS_WAITING = 8
_STUCK_S = 5.0
"""So long after its deadline an answer hangs."""


@dataclass(frozen=True, slots=True)
class Job:
    """A sentence to word: a request, or None for the one that goes with the event `id`."""

    id: str
    question: str
    request: Request | None
    percept: Percept | None
    done: Callable[[Answer], None] | None = None
    """Hears the answer as well, in the thread that words it; must not wait."""


class Wording:
    """The slow path: questions and events to sentences, one at a time."""

    name = "wording"

    def __init__(self, parts: Parts, latest: Callable[[], Percept | None], publish: Publish) -> None:
        self.jobs: Mailbox[Job] = Mailbox(QUESTIONS_WAITING)
        self.answered = 0
        self.latencies = {"answer": Latencies(), "first_token": Latencies()}
        self.commands = Commands(parts.topics, parts.config.mqtt.commands, parts.clock)
        self._parts = parts
        self._latest = latest
        self._publish = publish
        self._busy_since_ns: int | None = None
        self._turns: Askers[Turn] = Askers(parts.clock)

    def take(self, request: Request) -> Refusal | None:
        """Queue a question; a refusal where too many wait. Runs in the publisher's thread and never waits."""
        if self.jobs.offer(Job(request.id, request.question, request, None)):
            return None
        return self.commands.refuse(
            request, "busy", "too many questions are waiting", "ask again in a few seconds"
        )

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: the next question, or the worker's well-being."""
        while not stop.is_set():
            job = self.jobs.take(1.0)
            self._parts.language.supervise()
            if job is not None and not stop.is_set():
                self._busy_since_ns = self._parts.clock.monotonic_ns()
                self._word(job)
                self._busy_since_ns = None

    def _word(self, job: Job) -> None:
        percept = job.percept or self._latest()
        answer = self._recalled(job, percept)
        if answer is None:
            answer = self._worded(job, percept)
        self.latencies["answer"].add(answer.latency_ms)
        if answer.first_token_ms:
            self.latencies["first_token"].add(answer.first_token_ms)
        body = payloads.answer(
            job.id,
            answer,
            asked=job.request is not None,
            simulated=_is_simulated(answer, percept),
            clock=self._parts.clock,
        )
        if job.request is None:
            topic = self._parts.topics.answer(job.id)
            self._publish(Message(topic, payloads.encode(body), kind=Kind.ANSWER, source="answer"))
        else:
            self.answered += 1
            for message in replies(self._parts.topics, job.request, payloads.encode(body)):
                self._publish(message)
        if job.done is not None:
            job.done(answer)

    def _recalled(self, job: Job, percept: Percept | None) -> Answer | None:
        """The answer to a question about the past; None for any other."""
        if self._parts.recall is None or job.request is None:
            return None
        recall, config = self._parts.recall, self._parts.config
        if not config.memory.worded_by_lm:
            return recall.answer(job.question, job.request.asker)
        deadline = time.monotonic() + config.model.language_deadline_s  # of all that one question takes

        def write(prompt: str, grammar: str) -> Written:
            left_s = max(0.0, deadline - time.monotonic())
            return self._parts.language.write(percept, prompt, grammar, left_s)

        return recall.answer(job.question, job.request.asker, partial(by_model, write=write), write)

    def _worded(self, job: Job, percept: Percept | None) -> Answer:
        """The language model's answer; what names nothing ("are you sure?") goes with the turn before."""
        language, before = self._parts.language, None
        if job.request is not None and not language.answers.concerned(job.question):
            before = self._turns.last(job.request.asker)
        deadline_s = self._parts.config.model.language_deadline_s
        answer = language.ask(percept, job.question, deadline_s, [before] if before else [])
        if job.request is not None and before is None and answer.source is not AnswerSource.REFUSAL:
            self._turns.remember(job.request.asker, Turn(job.question, answer.text))
        return answer

    @property
    def problem(self) -> str:
        """Why the watchdog must not be fed; empty when all is well."""
        if (since_ns := self._busy_since_ns) is None:
            return ""
        spent_s = (self._parts.clock.monotonic_ns() - since_ns) / NS_PER_S
        if spent_s > self._parts.config.model.language_deadline_s + _STUCK_S:
            return f"one answer has taken {spent_s:.0f} s"
        return ""


def _is_simulated(answer: Answer, percept: Percept | None) -> bool:
    """Of an answer from memory, whether anything that it rests on was; of any other, whether now is."""
    if answer.source is AnswerSource.MEMORY:
        return any(fact.get("simulated") is True for fact in answer.evidence)
    return percept is not None and percept.simulated
