"""Carries out commands other than questions: `status`, `mute`, `snapshot`, `reload`, `talk`.

They are judged in the publisher's thread and carried out in the runtime's own, which knows how all fares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agent.assembly import Parts
from edge_agent.clock import NS_PER_S
from edge_agent.delivery import payloads
from edge_agent.delivery.commands import Commands, Order, Refusal, Request
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.payloads import Json
from edge_agent.delivery.replies import replies
from edge_agent.errors import ConfigurationError, EdgeAgentError
from edge_agent.mailbox import Mailbox
from edge_agent.muting import Muting, UnknownSensorError

WAITING = 8
CLOSING_S = 5.0
"""How long a reply waits for a device that shall be closed; a camera that just starts takes a second."""


class Reports(Protocol):
    """Who knows how all fares (`reporter.Reporter`)."""

    def status(self) -> Json:
        """Everything."""
        ...

    def snapshot(self) -> Json:
        """What is perceived and measured now."""
        ...


class Talks(Protocol):
    """Who listens and speaks (`voicing.Voice`); both give the state before."""

    def talk(self) -> str:
        """Listen to a question."""
        ...

    def hush(self) -> str:
        """End what is being said."""
        ...


@dataclass(frozen=True, slots=True)
class _Closing:
    """An order to mute that is answered when the device is closed, or at `until_ns`."""

    order: Order
    sensor: str
    until_ns: int


class Orders:
    """`on_command` is for the publisher's thread, `due` for the one that reports."""

    def __init__(
        self,
        parts: Parts,
        commands: Commands,
        take: Callable[[Request], Refusal | None],
        muting: Muting,
        reports: Reports,
        reload: Callable[[], None] | None,
        voice: Talks | None = None,
    ) -> None:
        """`take` queues a question; `reload` reads the configuration again, None where it cannot be.

        `voice` listens and speaks, None where the configuration has it off.
        """
        self._parts = parts
        self._commands = commands
        self._take = take
        self._muting = muting
        self._reports = reports
        self._reload = reload
        self._voice = voice
        self._waiting: Mailbox[Order] = Mailbox(WAITING)
        self._closing: list[_Closing] = []

    def on_command(self, incoming: Incoming) -> list[Message]:
        """Judge what came over MQTT; what has to be said at once, perhaps nothing. Never waits."""
        verdict = self._commands.judge(incoming)
        refusal = verdict if isinstance(verdict, Refusal) else None
        if isinstance(verdict, Request):
            refusal = self._take(verdict)
        elif isinstance(verdict, Order) and not self._waiting.offer(verdict):
            refusal = self._commands.refuse(
                verdict, "busy", "too many commands are waiting", "try again in a few seconds"
            )
        return [] if refusal is None else self._refused(refusal)

    def due(self) -> list[Message]:
        """Carry out what waits; the replies."""
        said = [message for order in self._waiting.take_all() for message in self._carry_out(order)]
        now_ns = self._parts.clock.monotonic_ns()
        for one in list(self._closing):
            closed = self._muting.muted(one.sensor)
            if closed or now_ns >= one.until_ns:
                self._closing.remove(one)
                said += self._muted(one.order, closed=closed)
        return said

    def _carry_out(self, order: Order) -> list[Message]:
        ways: dict[str, Callable[[], list[Message]]] = {
            "status": lambda: self._done(order, self._reports.status()),
            "snapshot": lambda: self._done(order, self._reports.snapshot()),
            "mute": lambda: self._mute(order),
            "reload": lambda: self._read_again(order),
            "talk": lambda: self._talk(order),
        }
        try:
            return ways[order.verb]()
        except UnknownSensorError as error:
            return self._refuse(order, "unknown_sensor", error)
        except ConfigurationError as error:
            return self._refuse(order, "bad_configuration", error)
        except EdgeAgentError as error:
            return self._refuse(order, "failed", error)

    def _mute(self, order: Order) -> list[Message]:
        name, on = order.body["sensor"], order.body["muted"]
        self._muting.mute(name, on=on, for_s=order.body.get("for_s"))
        if not on:
            return self._muted(order, closed=False)
        until_ns = self._parts.clock.monotonic_ns() + round(CLOSING_S * NS_PER_S)
        self._closing.append(_Closing(order, name, until_ns))
        return []

    def _muted(self, order: Order, *, closed: bool) -> list[Message]:
        wanted = {key: order.body.get(key) for key in ("sensor", "muted", "for_s")}
        return self._done(order, {**wanted, "closed": closed})

    def _talk(self, order: Order) -> list[Message]:
        if self._voice is None:
            raise EdgeAgentError("this agent has no voice", hint="set enabled = true in its table [voice]")
        state = self._voice.hush() if order.body.get("stop") else self._voice.talk()
        return self._done(order, {"state": state})

    def _read_again(self, order: Order) -> list[Message]:
        if self._reload is None:
            raise EdgeAgentError(
                "this agent cannot read its configuration again", hint="end it and start it again"
            )
        self._reload()
        return self._done(order, {"state": "restarting"})

    def _done(self, order: Order, found: Json) -> list[Message]:
        self._commands.carried_out += 1
        body = payloads.encode(payloads.reply(order, found, self._parts.clock))
        return list(replies(self._parts.topics, order, body))

    def _refuse(self, order: Order, code: str, error: EdgeAgentError) -> list[Message]:
        return self._refused(self._commands.refuse(order, code, str(error), error.hint))

    def _refused(self, refusal: Refusal) -> list[Message]:
        body = payloads.encode(payloads.refusal(refusal, self._parts.clock))
        return list(replies(self._parts.topics, refusal, body))
