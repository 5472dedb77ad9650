"""Devices on a serial port: opens it, converses, opens it anew. The one module that imports pyserial.

What is said on the line is a session's affair (`SerialSession`), which does no I/O. A microcontroller
that speaks the firmware bridge, with all of its sensors, is `SerialBridgeSensor`.
"""

from __future__ import annotations

import contextlib
import random
import termios
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import serial
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.bridge import BridgeSession, StreamTarget
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.probe import GREETING, LISTEN_BAUDS, LISTEN_S, Found, guess_line
from edge_agent.types import Chunk, SensorHealth, SensorState
from firmware_bridge import RemoteProtocolError

READ_TIMEOUT_S = 0.05
"""How long a read may wait: also how late a stop is noticed and a question asked again."""
WRITE_TIMEOUT_S = 0.2
BACKOFF_BASE_S = 0.1
BACKOFF_CAP_S = 2.0
PROBE_BYTES = 600
"""Enough for a sentence of any of the devices that `guess_line` knows."""
GUESSED = {
    "firmware bridge": 'kind = "serial"',
    "gps": 'kind = "gps"',
    "lidar ld06": 'kind = "lidar", model = "ld06"',
    "lidar rplidar_a1": 'kind = "lidar", model = "rplidar_a1"',
}
Known = Callable[[], Iterable[ListPortInfo]]
"""What gives the ports of the machine, with their descriptions."""


class SerialSession(Protocol):
    """One conversation, from the opening of a port to its loss. No I/O: bytes in, chunks and bytes out."""

    def outgoing(self, now_ns: int) -> bytes:
        """Return what is due to be written now. Raises SensorError to have the port opened anew."""
        ...

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        """Take what the line gave at `now_ns`, nothing included. Raises SensorError as `outgoing` does."""
        ...

    def goodbye(self) -> bytes:
        """Return the bytes that leave the device quiet."""
        ...


class SerialSensor:
    """One port and what is at its end. A port that is lost is opened again, by path, until `stop` is set.

    `make` gives a fresh session at every opening; the session keeps state, reason and errors of the health
    that it is given, samples and losses are counted here. `channels` is Chunk.sensor -> its columns. `more`
    are the healths of sensors that share the port. `dtr` is the line's state while the port is open.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        port: str,
        make: Callable[[SensorHealth], SerialSession],
        *,
        baud_rate: int,
        channels: Mapping[str, tuple[Channel, ...]],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        more: tuple[SensorHealth, ...] = (),
        dtr: bool = True,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.slot = slot
        self.port = port
        self.channels = dict(channels)
        self.health = SensorHealth()
        self._all_health = (self.health, *more)
        self._make = make
        self._baud_rate = baud_rate
        self._monotonic_ns = monotonic_ns
        self._dtr = dtr
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
            except OSError as error:
                self._lost = self.health.samples > 0
                self._offline(_reason(error, self.port))
                stop.wait(self._rng.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)))
                failures = min(failures + 1, 8)
        self._offline("stopped")

    def _open(self) -> serial.Serial:
        try:
            port = serial.Serial(
                None, self._baud_rate, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
            port.port, port.dtr = self.port, self._dtr
            port.open()
        except ValueError as error:
            raise ConfigurationError(
                f"{self.port} cannot run at {self._baud_rate} baud: {error}", key="baud_rate"
            ) from error
        except termios.error as error:  # not an OSError: the device went away while it was configured
            raise SensorError(f"{self.port} could not be configured: {error}") from error
        return port

    def _converse(self, port: serial.Serial, stop: threading.Event) -> Iterator[Chunk]:
        """One session, until `stop` or an error."""
        session = self._make(self.health)
        try:
            while not stop.is_set():
                due = session.outgoing(self._monotonic_ns())
                if due:
                    port.write(due)
                # One byte is waited for and the rest taken as it lies: a clock reply must not be held up.
                data = port.read(max(1, port.in_waiting))
                for chunk in session.receive(data, self._monotonic_ns()):
                    self.health.samples += len(chunk.times_ns)
                    self.health.lost += chunk.lost
                    yield chunk
        finally:
            with contextlib.suppress(OSError):
                port.write(session.goodbye())

    def _flowing(self) -> None:
        for health in self._all_health if self._lost else ():
            health.reconnects += 1
        self._lost = False

    def _offline(self, reason: str) -> None:
        for health in self._all_health:
            health.state, health.reason = SensorState.OFFLINE, reason


class SerialBridgeSensor(SerialSensor):
    """A microcontroller; its streams come through one port as chunks that carry their own `sensor`.

    `healths` has one entry for each logical sensor; `health` is the board's own and counts what cannot
    be told apart by sensor. `channels` has the sensors whose slot names its channels.
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
        targets = dict(streams)
        self.slots = {target.sensor: target.slot for target in targets.values()}
        self.healths = {sensor: SensorHealth() for sensor in self.slots}
        super().__init__(
            name,
            next(iter(self.slots.values())),
            port,
            lambda health: _BoardSession(BridgeSession(targets, self.healths, simulated), health),
            baud_rate=baud_rate,
            channels={t.sensor: _channels(t) for t in targets.values() if t.units},
            monotonic_ns=monotonic_ns,
            more=tuple(self.healths.values()),
            rng=rng,
        )


@dataclass(slots=True)
class _BoardSession:
    """A conversation with a board that also keeps the health of the board itself."""

    bridge: BridgeSession
    health: SensorHealth

    def outgoing(self, now_ns: int) -> bytes:
        return self.bridge.outgoing(now_ns)

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        errors, before = self.bridge.connection.counters.errors, self.bridge.device
        try:
            chunks = self.bridge.receive(data, now_ns)
        except RemoteProtocolError as error:
            raise SensorError(f"the board breaks the protocol: {error}") from error
        finally:
            self.health.errors += self.bridge.connection.counters.errors - errors
        if self.bridge.device and (before != self.bridge.device or chunks):
            self.health.state, self.health.reason = SensorState.ONLINE, ""
        return chunks

    def goodbye(self) -> bytes:
        return self.bridge.goodbye()


def _channels(target: StreamTarget) -> tuple[Channel, ...]:
    return tuple(map(Channel, target.channels, target.units))


def _reason(error: OSError, port: str) -> str:
    """What happened, in words for the published state."""
    if isinstance(error, SensorError):
        return f"{error}. {error.hint}".strip(" .") + "."
    match error.errno:
        case 2:
            return f"{port} is not there: is the device plugged in?"
        case 13:
            return f"no permission for {port}: add the user to the group dialout"
        case _:
            return f"{port} was lost: {error}"


def ports(known: Known = list_ports.comports, by_id: Path = Path("/dev/serial/by-id")) -> list[str]:
    """The serial ports of this machine, by the name that stays the same where there is one."""
    links = {str(link.resolve()): str(link) for link in sorted(by_id.glob("*"))}
    return sorted(links.get(port.device, port.device) for port in known())


def probed(port: str, *, listen: bool, known: Known = list_ports.comports) -> Found:
    """What is at a port: as its description says, or by what it says itself when it is listened to.

    Listening opens the port at the usual speeds, one after the other, which resets some boards.
    """
    described = {found.device: found.description for found in known()}
    what = described.get(str(Path(port).resolve()), "serial port")
    if not listen:
        return Found("serial", port, what, f"edge-agent sensors probe --port {port} asks what it is")
    for baud_rate in LISTEN_BAUDS:
        try:
            with serial.Serial(
                port, baud_rate, timeout=LISTEN_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            ) as line:
                line.write(GREETING)
                guess = guess_line(line.read(PROBE_BYTES))
        except (OSError, termios.error) as error:
            return Found("serial", port, f"cannot be opened: {error}")
        if guess:
            hint = f'{GUESSED[guess]}, port = "{port}", baud_rate = {baud_rate}'
            return Found("serial", port, f"{guess} at {baud_rate} baud", hint)
    return Found("serial", port, what)
