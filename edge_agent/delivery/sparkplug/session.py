"""One session of an edge node, from its NBIRTH to its NDEATH: what may be said, in which order. Pure.

Nothing but births is said before the births, every message has the next number, data names metrics by the
aliases that the births gave, and a metric that no birth named asks for another birth.

Source: Sparkplug 3.0.0, 5.4 to 5.7 (establishment and termination), 5.18 (data), 6.4.19 to 6.4.26 (payloads).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.delivery.message import Message
from edge_agent.delivery.sparkplug.messages import Named, encode
from edge_agent.delivery.sparkplug.picture import NODE, Shown
from edge_agent.delivery.sparkplug.readings import BD_SEQ, REBIRTH
from edge_agent.delivery.sparkplug.values import DataType, Quality, Reading

NAMESPACE = "spBv1.0"
SEQUENCES = 256
"""Both seq and bdSeq count from 0 to 255 and begin again."""
_OVERTAKEN_MS = 10_000
Picture = Mapping[str, Mapping[str, Reading]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an edge node speaks: `spBv1.0/<group>/<what>/<node>[/<device>]` (4.1)."""

    group: str
    node: str

    def topic(self, what: str, device: str = NODE) -> str:
        """The topic of one kind of message; `device` "" for those of the node itself."""
        return f"{NAMESPACE}/{self.group}/{what}/{self.node}" + (f"/{device}" if device else "")

    @property
    def device_commands(self) -> str:
        """The filter for the commands to any device."""
        return self.topic("DCMD", "+")


def state_topic(host: str) -> str:
    """Where a host application says whether it is online (4.6)."""
    return f"{NAMESPACE}/STATE/{host}"


class Aliases:
    """A number for each metric, unique in the node and the same in all sessions of a process.

    The rebirth metric has none (tck-id-operational-behavior-data-commands-rebirth-name-aliases).
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def of(self, device: str, name: str) -> int | None:
        """The alias of a metric, from 1 on."""
        if (device, name) == (NODE, REBIRTH):
            return None
        return self._numbers.setdefault((device, name), len(self._numbers) + 1)

    def name_of(self, device: str, alias: int | None) -> str:
        """The metric of an alias; "" for none of that device."""
        return next((name for (d, name), n in self._numbers.items() if (d, n) == (device, alias)), "")


class Session:
    """One MQTT session. Every method gives the messages to send, in order; nothing is sent here."""

    def __init__(self, place: Place, bd_seq: int, aliases: Aliases) -> None:
        self.born = False
        self.wants_birth = True
        """Not born yet, asked for, or something appeared that no birth named."""
        self.unknown = 0
        """Old readings that nobody could be told, since this agent has no such metric any more."""
        self._place = place
        self._bd_seq = bd_seq
        self._aliases = aliases
        self._seq = SEQUENCES - 1
        self._told: Shown = {}
        self._told_old: dict[tuple[str, str], Reading] = {}
        self._not_good: set[tuple[str, str]] = set()

    # -- births and deaths -----------------------------------------------------------------------------------

    def births(self, picture: Picture, now_ms: int) -> list[Message]:
        """The whole birth sequence: NBIRTH with number 0, then each device that is there (5.4, 5.6)."""
        self._seq = SEQUENCES - 1
        self._told, self._told_old, self._not_good = {}, {}, set()
        self.born, self.wants_birth = True, False
        own = (
            Reading(NODE, BD_SEQ, DataType.INT64, self._bd_seq, now_ms),
            Reading(NODE, REBIRTH, DataType.BOOLEAN, value=False, timestamp_ms=now_ms),
        )
        node = {**{one.name: one for one in own}, **picture[NODE]}
        messages = [self._birth("NBIRTH", NODE, node, now_ms)]
        return messages + [
            self._birth("DBIRTH", device, metrics, now_ms)
            for device, metrics in picture.items()
            if device != NODE
        ]

    def _birth(self, what: str, device: str, metrics: Mapping[str, Reading], now_ms: int) -> Message:
        self._told[device] = dict(metrics)
        # Chronological, as what is not historical has to be (tck-id-operational-behavior-...-birth-order).
        said = sorted(metrics.values(), key=lambda reading: reading.timestamp_ms)
        return self._message(what, device, [self._named(one, birth=True) for one in said], now_ms)

    def death(self, now_ms: int) -> Message:
        """The NDEATH: the last will, and what is said before leaving (tck-id-topics-ndeath-payload)."""
        reading = Reading(NODE, BD_SEQ, DataType.INT64, self._bd_seq, now_ms)
        payload = encode([Named(reading, None, birth=True)], timestamp_ms=now_ms, seq=None)
        return Message(self._place.topic("NDEATH"), payload)

    # -- data ------------------------------------------------------------------------------------------------

    def follow(self, picture: Picture, now_ms: int) -> list[Message]:
        """What makes a host see `picture`: devices that came or went, and every metric that changed."""
        self._needs_birth()
        messages = []
        for device in [device for device in self._told if device not in picture]:
            del self._told[device]
            messages.append(self._message("DDEATH", device, [], now_ms))
        for device, metrics in picture.items():
            if device not in self._told:
                messages.append(self._birth("DBIRTH", device, metrics, now_ms))
            else:
                messages += self._live(device, self._changed(device, metrics.values()), now_ms)
        return messages

    def tell(self, device: str, readings: Iterable[Reading], now_ms: int) -> list[Message]:
        """The readings that differ from what was said last, in at most one message and one of the past.

        What is a little older than what was said last was overtaken by it, and is said as history. A clock
        that was set back by more is believed, as `follow` believes what is shown now.
        """
        self._needs_birth()
        told = self._told.get(device, {})
        new: list[Reading] = []
        old: list[Reading] = []
        for reading in self._changed(device, readings):
            overtaken = 0 < told[reading.name].timestamp_ms - reading.timestamp_ms < _OVERTAKEN_MS
            (old if overtaken else new).append(reading)
        return self._data(device, old, now_ms, historical=True) + self._live(device, new, now_ms)

    def _changed(self, device: str, readings: Iterable[Reading]) -> list[Reading]:
        """Those that differ; a metric that no birth named makes us want another one."""
        told = self._told.get(device, {})
        found = []
        for reading in readings:
            if (last := told.get(reading.name)) is None:
                self.wants_birth = self.wants_birth or device in self._told
            elif reading.shown != last.shown:
                found.append(reading)
        return found

    def _live(self, device: str, readings: Sequence[Reading], now_ms: int) -> list[Message]:
        self._told.get(device, {}).update({reading.name: reading for reading in readings})
        return self._data(device, readings, now_ms, historical=False)

    def recall(self, readings: Sequence[Reading], now_ms: int) -> list[Message]:
        """What was kept while nobody could be told, oldest first: one message for each device."""
        self._needs_birth()
        kept: dict[str, list[Reading]] = {}
        for reading in readings:
            if reading.name not in self._told.get(reading.device, {}):
                self.unknown += 1
                continue
            key = (reading.device, reading.name)
            last = self._told_old.get(key)
            if last is None or last.shown != reading.shown:
                self._told_old[key] = reading
                kept.setdefault(reading.device, []).append(reading)
        return [
            message
            for device, found in kept.items()
            for message in self._data(device, found, now_ms, historical=True)
        ]

    def _data(
        self, device: str, readings: Sequence[Reading], now_ms: int, *, historical: bool
    ) -> list[Message]:
        if not readings:
            return []
        said = sorted(readings, key=lambda reading: reading.timestamp_ms)
        metrics = [self._named(one, historical=historical) for one in said]
        return [self._message("DDATA" if device else "NDATA", device, metrics, now_ms)]

    def _needs_birth(self) -> None:
        if not self.born:
            raise RuntimeError("nothing is said before the birth (tck-id-payloads-ndata-order)")

    # -- how it is written -----------------------------------------------------------------------------------

    def _named(self, reading: Reading, *, birth: bool = False, historical: bool = False) -> Named:
        key = (reading.device, reading.name)
        with_quality = key in self._not_good or reading.quality is not Quality.GOOD
        if with_quality:
            self._not_good.add(key)
        return Named(
            reading,
            self._aliases.of(*key),
            birth=birth,
            historical=historical,
            with_quality=with_quality,
        )

    def _message(self, what: str, device: str, metrics: Sequence[Named], now_ms: int) -> Message:
        self._seq = (self._seq + 1) % SEQUENCES
        payload = encode(metrics, timestamp_ms=now_ms, seq=self._seq)
        return Message(self._place.topic(what, device), payload)
