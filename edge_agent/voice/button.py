"""A push-to-talk button behind a serial port: a line of text for each press, as a board sends it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_agent.clock import NS_PER_S
from edge_agent.config_voice import Button
from edge_agent.errors import ConfigurationError
from edge_agent.sensors.serial import SerialSensor
from edge_agent.types import Chunk, SensorHealth, SensorState

MAX_LINE_BYTES = 256


class ButtonSession:
    """One conversation with the button; no I/O. `press` is called for each press, bounces left out."""

    def __init__(self, button: Button, health: SensorHealth, press: Callable[[], None]) -> None:
        self._wanted = button.pressed.encode()
        self._debounce_ns = round(button.debounce_s * NS_PER_S)
        self._press = press
        self._line = bytearray()
        self._pressed_ns: int | None = None
        health.state, health.reason = SensorState.ONLINE, ""

    def outgoing(self, now_ns: int) -> bytes:  # noqa: ARG002  # nothing is ever asked
        """Nothing."""
        return b""

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        """Take what the line gave at `now_ns`. A line that is too long is noise, and is forgotten."""
        for byte in data:
            if byte in b"\r\n":
                if bytes(self._line).strip() == self._wanted:
                    self._on_press(now_ns)
                self._line.clear()
            else:
                self._line.append(byte)
                if len(self._line) > MAX_LINE_BYTES:
                    self._line.clear()
        return []

    def goodbye(self) -> bytes:
        """Nothing."""
        return b""

    def _on_press(self, now_ns: int) -> None:
        """The first of several that follow each other closely; each of them keeps the door shut a while."""
        before_ns, self._pressed_ns = self._pressed_ns, now_ns
        if before_ns is None or now_ns - before_ns >= self._debounce_ns:
            self._press()


class ButtonStage:
    """Listens to the button in a thread of its own; a port that is lost is opened again."""

    name = "voice button"
    problem = ""

    def __init__(
        self, button: Button, press: Callable[[], None], failed: Callable[[ConfigurationError], None]
    ) -> None:
        self._failed = failed
        self._port = SerialSensor(
            "button", "", button.port, lambda health: ButtonSession(button, health, press),
            baud_rate=button.baud_rate, channels={},
        )  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        try:
            for _ in self._port.chunks(stop):
                pass
        except ConfigurationError as error:
            self._failed(ConfigurationError(f"voice.button: {error}", key="voice.button", hint=error.hint))
