"""Where the reply to a command goes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.delivery.commands import Order, Refusal, Request
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.topics import Topics


def replies(topics: Topics, to: Request | Order | Refusal, body: bytes) -> Iterator[Message]:
    """To the topic of the command's id always, and to the response topic where that is another one."""
    asked = isinstance(to, Request) or to.verb == "ask"
    topic, source = (topics.answer(to.id), "answer") if asked else (topics.reply(to.id), "reply")
    yield Message(topic, body, correlation=to.correlation, kind=Kind.ANSWER, source=source)
    if to.response_topic and to.response_topic != topic:
        yield Message(to.response_topic, body, correlation=to.correlation, kind=Kind.ANSWER, source=source)
