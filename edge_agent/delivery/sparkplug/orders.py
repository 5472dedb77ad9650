"""What a host application may command: a rebirth of the node. Everything else is refused and counted.

Source: Sparkplug 3.0.0, 5.19 (commands), 6.4.23 (NCMD), 6.4.24 (DCMD).
"""

from __future__ import annotations

from edge_agent.delivery.message import Incoming
from edge_agent.delivery.sparkplug.messages import MalformedError, Order, orders
from edge_agent.delivery.sparkplug.picture import NODE
from edge_agent.delivery.sparkplug.readings import REBIRTH
from edge_agent.delivery.sparkplug.session import Aliases, Place
from edge_agent.delivery.sparkplug.values import DataType, Reading

REFUSED = "Commands/Refused"
REASON = "Commands/Last Refusal"
_SHOWN_CHARACTERS = 100


class Orders:
    """Judges commands; `readings` tells a host what became of those that were refused."""

    def __init__(self, place: Place, aliases: Aliases) -> None:
        self.refused = 0
        self.reason = ""
        self._place = place
        self._aliases = aliases

    def judge(self, incoming: Incoming) -> bool:
        """Whether the command asks for a rebirth; what is refused is counted with its reason."""
        if incoming.retain:
            # It would come again at every subscription (tck-id-payloads-ncmd-retain forbids it).
            return self._refuse("a retained command is never carried out")
        try:
            found = orders(incoming.payload)
        except MalformedError as error:
            return self._refuse(str(error))
        if incoming.topic != self._place.topic("NCMD"):
            device = incoming.topic.rpartition("/")[2]
            names = ", ".join(self._name(device, order) for order in found) or "nothing"
            return self._refuse(f"{device}: {names} cannot be written, nothing of a device can")
        rebirth = False
        for order in found:
            if order.name == REBIRTH:
                rebirth = self._rebirth(order) or rebirth
            else:
                self._refuse(f"{self._name(NODE, order)} cannot be written")
        return rebirth

    def _rebirth(self, order: Order) -> bool:
        """True asks for it; false is what the metric is already (tck-id-...-ncmd-rebirth-value)."""
        if order.kind != "boolean_value":
            return self._refuse(f"{REBIRTH} takes true, as a Boolean")
        return order.value is True

    def _name(self, device: str, order: Order) -> str:
        name = order.name or self._aliases.name_of(device, order.alias)
        return ascii(name[:_SHOWN_CHARACTERS]) if name else f"the alias {order.alias}"

    def _refuse(self, reason: str) -> bool:
        self.refused += 1
        self.reason = reason
        return False

    def readings(self, at_ms: int) -> list[Reading]:
        """How many were refused, and why the last one was."""
        return [
            Reading(NODE, REFUSED, DataType.INT64, self.refused, at_ms),
            Reading(NODE, REASON, DataType.STRING, self.reason, at_ms),
        ]
