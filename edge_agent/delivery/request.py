"""The asking side: one question to a running agent, over its broker."""

from __future__ import annotations

from edge_agent.config import Mqtt
from edge_agent.delivery.payloads import Json
from edge_agent.delivery.sending import Sender


def ask(
    settings: Mqtt, node: str, question: str, *, identity: str, timeout_s: float, asker: str | None = None
) -> Json:
    """The agent's reply (schema `answer`). Raises DeliveryError when none comes in time, and says why.

    Questions of one `asker` belong to one dialog.
    """
    body = {"question": question} | ({} if asker is None else {"asker": asker})
    with Sender(settings, node, identity) as sender:
        return sender.order("ask", body, identity=identity, timeout_s=timeout_s)
