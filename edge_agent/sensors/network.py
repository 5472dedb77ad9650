"""Samples that another machine publishes: an eye tracker, a pose estimator, a weather station.

The messages are described in `docs/mqtt.md` and `schemas/sensor_input.schema.json`. How they get here is not
known here: `Subscribe` is the seam, `delivery/subscription.py` is the one over MQTT.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from edge_agent.clock import NS_PER_S
from edge_agent.errors import EdgeAgentError, SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.types import Chunk, Clock, Int64, SensorHealth, SensorState, Values

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_AGE_S = 60.0
MAX_SEQUENCE = 2**53 - 1
"""What every JSON parser still holds exactly (RFC 8259, section 6)."""
MAX_VALUE = float(np.finfo(np.float32).max)
PLACE = frozenset({"latitude", "longitude"})
"""With one of these among the channels the values are float64: a degree in float32 is off by up to 0.9 m."""
REPEATED_WITHIN = 64
"""A message that ends so few samples back was sent again (QoS 1); one further back is a new start."""
NAMED_AT_MOST = 8
SILENT_LEAST_S = 5.0
SILENT_SPACINGS = 20
"""Nothing for so long, and so many times the spacing of the last two messages: the sensor is offline."""
BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 3.0

Arrival = tuple[bytes, int] | None
"""A payload and when it arrived, on the sensor's clock in ns; None: nothing came for a while."""
Subscribe = Callable[[threading.Event], Generator[Arrival, None, None]]
"""Yields arrivals until `stop` is set, within 0.2 s; OSError when the connection cannot be made or is lost.

The first thing it yields, if only None, says that the connection stands.
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """The samples of one message, oldest first: `ages_ns` (n,) when it was sent, `values` (n, channels).

    `missing` are the channels of which the message says nothing at all.
    """

    ages_ns: Int64
    values: Values
    missing: tuple[str, ...]
    sequence: int | None
    simulated: bool


def parse(payload: bytes, names: tuple[str, ...]) -> Batch:
    """Read a message for the channels `names`. Raises ValueError, which says what is wrong with it."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"it has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are read")
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    _check_keys(body, {"values", "samples", "sequence", "simulated"})
    sequence, simulated = body.get("sequence"), body.get("simulated", False)
    if not (sequence is None or (type(sequence) is int and 0 <= sequence <= MAX_SEQUENCE)):
        raise ValueError('"sequence" is no whole number from 0 on')
    if not isinstance(simulated, bool):
        raise ValueError('"simulated" is neither true nor false')  # noqa: TRY004  (one error for all faults)
    samples = _samples(body)
    samples.sort(key=lambda sample: -sample[0])
    said = {name for _, values in samples for name in values}
    if not said.intersection(names):
        raise ValueError("it has none of the sensor's channels")
    rows = [[_number(values.get(name)) for name in names] for _, values in samples]
    ages_ns = [round(age_s * NS_PER_S) for age_s, _ in samples]
    values: Values = np.array(rows, np.float64)
    if not PLACE.intersection(names):
        values = values.astype(np.float32)
    missing = tuple(name for name in names if name not in said)
    return Batch(np.array(ages_ns, np.int64), values, missing, sequence, simulated)


def _samples(body: dict[str, object]) -> list[tuple[float, dict[str, object]]]:
    """(age in s, values) of every sample, in the order of the message."""
    if ("values" in body) == ("samples" in body):
        raise ValueError('it has "values" or "samples", one of the two')
    if "values" in body:
        return [(0.0, _values(body["values"]))]
    samples = body["samples"]
    if not isinstance(samples, list) or not samples:
        raise ValueError('"samples" is no list, or an empty one')
    return [_sample(sample) for sample in samples]


def _sample(sample: object) -> tuple[float, dict[str, object]]:
    body = _check_keys(sample, {"age_s", "values"})
    age_s = body.get("age_s")
    if isinstance(age_s, bool) or not isinstance(age_s, int | float) or not 0 <= age_s <= MAX_AGE_S:
        raise ValueError(f'"age_s" is no number from 0 to {MAX_AGE_S:g}')
    return age_s, _values(body.get("values"))


def _values(values: object) -> dict[str, object]:
    if not isinstance(values, dict):
        raise ValueError('"values" is no object')  # noqa: TRY004  (one error for all faults)
    for value in values.values():
        _number(value)
    return values


def _number(value: object) -> float:
    """NaN for null and for what is not there."""
    if value is None:
        return float("nan")
    # NaN and Infinity, which Python's JSON lets through, fail the comparison too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_VALUE:
        raise ValueError("a value is neither null nor a number that float32 can hold")
    return float(value)


def _check_keys(body: object, known: set[str]) -> dict[str, object]:
    if not isinstance(body, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  (one error for all faults)
    if unknown := sorted(body.keys() - known):
        raise ValueError(f"unknown key {unknown[0][:40]!a}")
    return body


class NetworkSensor:
    """The samples of one topic. A sample's time is the arrival of its message, less its `age_s`.

    `channels` are its columns, in the unit that the sender uses. Of the messages, those that are malformed,
    repeated, or beyond `max_rate_hz` samples a second are skipped and counted in `health.errors`; the last
    are not even read. `lost` counts samples by the sender's sequence numbers; without these, only messages
    that were refused for their rate.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        clock: Clock,
        subscribe: Subscribe,
        *,
        channels: tuple[Channel, ...],
        max_rate_hz: float = 200.0,
    ) -> None:
        self.name = name
        self.slot = slot
        self.health = SensorHealth()
        self.channels = {name: channels}
        self._clock = clock
        self._subscribe = subscribe
        self._names = tuple(channel.name for channel in channels)
        self._max_rate_hz = max_rate_hz
        self._budget = _Budget(max_rate_hz, clock.monotonic_ns())
        self._last_ns = 0
        self._expected: int | None = None
        """The sequence number of the next sample, where the sender counts them."""
        self._refused = 0
        """Messages that were not read, since the last chunk."""
        self._heard_ns: int | None = None
        self._silent_ns = SILENT_LEAST_S * NS_PER_S
        self._fault = ""

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor."""
        failures = 0
        lost = False
        while not stop.is_set():
            try:
                for chunk in self._listen(stop):
                    failures = 0
                    self.health.reconnects += lost
                    lost = False
                    yield chunk
            except OSError as error:
                self.health.errors += 1
                self._set(SensorState.OFFLINE, _reason(error))
                lost = self.health.samples > 0
                stop.wait(random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)))
                failures = min(failures + 1, 8)
        self._set(SensorState.OFFLINE, "stopped")

    def _listen(self, stop: threading.Event) -> Iterator[Chunk]:
        """Chunks of one connection. OSError when it is lost."""
        self._heard_ns, self._fault = None, ""
        with closing(self._subscribe(stop)) as arrivals:
            for arrival in arrivals:
                if arrival is None:
                    self._nothing_of_use(self._clock.monotonic_ns())
                elif (chunk := self._take(*arrival)) is not None:
                    yield chunk
        if not stop.is_set():
            raise SensorError("the subscription has ended")

    def _take(self, payload: bytes, arrived_ns: int) -> Chunk | None:
        """The chunk of one message; None, counted, where it is not to be used."""
        if not self._budget.left(arrived_ns):
            self._refused += 1
            self.health.errors += 1
            return None
        self._budget.spend(1)
        try:
            batch = parse(payload, self._names)
            lost = self._lost_before(batch)
        except ValueError as error:
            self.health.errors += 1
            self._fault = f"a message was not used: {error}"
            self._nothing_of_use(arrived_ns)
            return None
        self._budget.spend(len(batch.ages_ns) - 1)
        self._flowing(batch, arrived_ns)
        self.health.lost += lost
        self.health.samples += len(batch.ages_ns)
        times_ns = np.maximum.accumulate(np.maximum(arrived_ns - batch.ages_ns, self._last_ns))
        self._last_ns = int(times_ns[-1])
        self._refused = 0
        return Chunk(self.name, times_ns, batch.values, lost, batch.simulated)

    def _lost_before(self, batch: Batch) -> int:
        """Samples that are missing before it. Raises ValueError where it was sent before."""
        expected, self._expected = self._expected, None
        lost = 0
        if batch.sequence is not None:
            self._expected = batch.sequence + len(batch.ages_ns)
            if expected is not None:
                if 0 < batch.sequence < expected <= self._expected + REPEATED_WITHIN:
                    self._expected = expected
                    raise ValueError(f"the sequence number {batch.sequence} was there before")
                lost = max(0, batch.sequence - expected)
        return max(lost, self._refused)

    def _flowing(self, batch: Batch, arrived_ns: int) -> None:
        if self._heard_ns is not None:
            spacing_ns = SILENT_SPACINGS * (arrived_ns - self._heard_ns)
            self._silent_ns = max(SILENT_LEAST_S * NS_PER_S, spacing_ns)
        self._heard_ns, self._fault = arrived_ns, ""
        if self._refused:
            self._set(SensorState.DEGRADED, f"more than {self._max_rate_hz:g} samples a second come")
        elif batch.missing:
            self._set(SensorState.DEGRADED, _absent(batch.missing))
        else:
            self._set(SensorState.ONLINE, "")

    def _nothing_of_use(self, now_ns: int) -> None:
        """Say so once it has lasted: a single bad message is only counted."""
        if self._heard_ns is None:
            self._set(SensorState.OFFLINE, self._fault or "connected; nothing has come yet")
        elif now_ns - self._heard_ns > self._silent_ns:
            silent_s = self._silent_ns / NS_PER_S
            self._set(SensorState.OFFLINE, self._fault or f"nothing has come for {silent_s:.0f} s")

    def _set(self, state: SensorState, reason: str) -> None:
        self.health.state, self.health.reason = state, reason


class _Budget:
    """Samples that may come: a second's worth at once, `rate_hz` in the long run.

    One message may overdraw it: how many samples it holds is known when it was read.
    """

    def __init__(self, rate_hz: float, now_ns: int) -> None:
        self._rate_hz = rate_hz
        self._most = max(2.0, rate_hz)
        self._samples = self._most
        self._seen_ns = now_ns

    def left(self, now_ns: int) -> bool:
        earned = (now_ns - self._seen_ns) / NS_PER_S * self._rate_hz
        self._samples = min(self._most, self._samples + earned)
        self._seen_ns = now_ns
        return self._samples >= 1

    def spend(self, samples: int) -> None:
        self._samples -= samples


def _absent(channels: tuple[str, ...]) -> str:
    more = len(channels) - NAMED_AT_MOST
    return f"no channel {', '.join(channels[:NAMED_AT_MOST])}" + (f" and {more} more" if more > 0 else "")


def _reason(error: OSError) -> str:
    """What happened, in words for the published state."""
    if isinstance(error, EdgeAgentError):
        return f"{error}. {error.hint}".strip(" .") + "."
    return error.strerror or str(error)
