"""A microcontroller on a serial port, with all of its sensors. The one module that imports pyserial."""

from __future__ import annotations

import contextlib
import random
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import serial

from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.bridge import BridgeSession, StreamTarget
from edge_agent.types import Chunk, SensorHealth, SensorState
from firmware_bridge import RemoteProtocolError

READ_TIMEOUT_S = 0.05
"""How long a read may wait: also how late a stop is noticed and a question asked again."""
WRITE_TIMEOUT_S = 0.2
BACKOFF_BASE_S = 0.1
BACKOFF_CAP_S = 2.0


class SerialBridgeSensor:
    """One port, opened once; its streams come as chunks that carry their own `sensor`.

    `healths` has one entry for each logical sensor; `health` is the board's own and counts what cannot
    be told apart by sensor. A port that is lost is opened again, by path, until `stop` is set.
    """

    def __init__(
        self,
        name: str,
        port: str,
        streams: Mapping[str, StreamTarget],
        *,
        baud_rate: int = 921_600,
        simulated: bool = False,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        rng: random.Random | None = None,
    ) -> None:
        if not streams:
            raise ConfigurationError(f'serial sensor "{name}" has no streams', key="streams")
        self.name = name
        self.port = port
        self.slots = {target.sensor: target.slot for target in streams.values()}
        self.slot = next(iter(self.slots.values()))
        self.health = SensorHealth()
        self.healths = {sensor: SensorHealth() for sensor in self.slots}
        self._streams = dict(streams)
        self._baud_rate = baud_rate
        self._simulated = simulated
        self._monotonic_ns = monotonic_ns
        self._rng = rng or random.Random()
        self._lost = False
        """Samples have flowed before, and the port was lost since: the next chunk is a reconnection."""

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """Yield chunks until `stop`; a lost port is reported in the healths and retried.

        Raises ConfigurationError for a baud rate that the port cannot do.
        """
        failures = 0
        while not stop.is_set():
            try:
                with self._open() as port:
                    for chunk in self._converse(port, stop):
                        failures = 0
                        self._flowing()
                        yield chunk
            except (OSError, RemoteProtocolError) as error:
                self._lost = self.health.samples > 0
                self._offline(_reason(error, self.port))
                stop.wait(self._rng.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)))
                failures = min(failures + 1, 8)
        self._offline("stopped")

    def _open(self) -> serial.Serial:
        try:
            port = serial.Serial(
                self.port,
                self._baud_rate,
                timeout=READ_TIMEOUT_S,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,
            )
        except ValueError as error:
            raise ConfigurationError(
                f"{self.port} cannot run at {self._baud_rate} baud: {error}", key="baud_rate"
            ) from error
        except termios.error as error:  # not an OSError: the device went away while it was configured
            raise SensorError(f"{self.port} could not be configured: {error}") from error
        return port

    def _converse(self, port: serial.Serial, stop: threading.Event) -> Iterator[Chunk]:
        """One session, until `stop` or an error."""
        session = BridgeSession(self._streams, self.healths, self._simulated)
        try:
            while not stop.is_set():
                due = session.outgoing(self._monotonic_ns())
                if due:
                    port.write(due)
                # One byte is waited for and the rest taken as it lies: a clock reply must not be held up.
                data = port.read(max(1, port.in_waiting))
                yield from self._receive(session, data)
        finally:
            with contextlib.suppress(OSError):
                port.write(session.goodbye())

    def _receive(self, session: BridgeSession, data: bytes) -> list[Chunk]:
        errors, before = session.connection.counters.errors, session.device
        try:
            chunks = session.receive(data, self._monotonic_ns())
        finally:
            self.health.errors += session.connection.counters.errors - errors
        if session.device and (before != session.device or chunks):
            self.health.state, self.health.reason = SensorState.ONLINE, ""
        self.health.samples += sum(len(chunk.times_ns) for chunk in chunks)
        self.health.lost += sum(chunk.lost for chunk in chunks)
        return chunks

    def _flowing(self) -> None:
        for health in (self.health, *self.healths.values()) if self._lost else ():
            health.reconnects += 1
        self._lost = False

    def _offline(self, reason: str) -> None:
        for health in (self.health, *self.healths.values()):
            health.state, health.reason = SensorState.OFFLINE, reason


def _reason(error: Exception, port: str) -> str:
    """What happened, in words for the published state."""
    if isinstance(error, SensorError):
        return f"{error}. {error.hint}".strip(" .") + "."
    if isinstance(error, RemoteProtocolError):
        return f"the board breaks the protocol: {error}"
    match getattr(error, "errno", None):
        case 2:
            return f"{port} is not there: is the board plugged in?"
        case 13:
            return f"no permission for {port}: add the user to the group dialout"
        case _:
            return f"{port} was lost: {error}"
