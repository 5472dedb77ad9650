"""Whether new broker settings connect. If they do not in time, those that connected last are used again.

Where neither connects, both are tried in turn, each for twice as long as before: a broker may only be late.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pydantic import ValidationError

from edge_agent.clock import NS_PER_S
from edge_agent.config import Mqtt
from edge_agent.state_file import write_whole
from edge_agent.types import Clock

FILE = "broker.json"
LONGEST_S = 900.0
CONNECTING = {
    "host", "port", "protocol", "transport", "websocket_path", "username", "password_file", "tls"
}  # fmt: skip
"""The settings that decide whether there is a connection; the others are the file's in any case."""
_log = logging.getLogger(__name__)


class LastGood:
    """The settings that connected last, in a file of the state directory; of a password its file's name."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def load(self) -> Mqtt | None:
        """What is remembered; None where there is nothing, or nothing that can be used."""
        try:
            return Mqtt.model_validate_json(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            _log.warning("%s cannot be used: %s", self._path, error)
            return None

    def keep(self, settings: Mqtt) -> None:
        """Write it whole or not at all."""
        body = settings.model_dump(mode="json", include=CONNECTING)
        try:
            write_whole(self._path, json.dumps(body, indent=1) + "\n")
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error.strerror)


class BrokerTrial:
    """Which broker settings to use, `wanted` first. `over` is asked now and then in one thread."""

    def __init__(self, wanted: Mqtt, last_good: LastGood, clock: Clock) -> None:
        self.settings = wanted
        self.reason = ""
        """Why `wanted` is not in use; empty while it is."""
        self._wanted = wanted
        self._last_good = last_good
        self._clock = clock
        good = last_good.load()
        self._good = None if good is None else wanted.model_copy(update=_connecting(good))
        self._limit_s = float(wanted.revert_after_s)
        self._begun_ns = clock.monotonic_ns()
        self._connected = False

    def begin(self) -> None:
        """Somebody begins to connect with `settings`."""
        self._begun_ns = self._clock.monotonic_ns()

    def over(self, connects: int, reason: str) -> bool:
        """Whether other settings shall be used from now on. `connects` counts those with `settings`."""
        if self._connected:
            return False
        if connects:
            self._connected = True
            self._last_good.keep(self.settings)
            return False
        if self._good is None or _connecting(self._good) == _connecting(self._wanted):
            return False
        if self._clock.monotonic_ns() - self._begun_ns < self._limit_s * NS_PER_S:
            return False
        if self.settings is self._wanted:
            self.settings = self._good
            self.reason = (
                f"mqtt: no connection to {_place(self._wanted)} within {self._limit_s:g} s ({reason}); "
                f"the settings that connected last are in use: {_place(self._good)}"
            )
            _log.warning("%s", self.reason)
        else:
            self.settings, self.reason = self._wanted, ""
            self._limit_s = min(2 * self._limit_s, LONGEST_S)
            _log.warning("mqtt: no connection to %s either; trying the configured one", _place(self._good))
        return True


def _connecting(settings: Mqtt) -> dict[str, object]:
    return {key: getattr(settings, key) for key in CONNECTING}


def _place(settings: Mqtt) -> str:
    return f"{settings.host}:{settings.port}"
