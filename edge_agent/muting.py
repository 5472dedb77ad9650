"""Sensors that are switched off while the agent runs: their device is closed, and stays closed.

Who asks for it (a command, the configuration, a voice) needs to know no sensor: `Muting.mute` by name. A
sensor that was muted stays so when the agent starts again: a small file in the state directory remembers it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from edge_agent.clock import NS_PER_S
from edge_agent.errors import EdgeAgentError
from edge_agent.state_file import write_whole
from edge_agent.types import Clock

FILE = "muted.json"
POLL_S = 0.05
"""How late an `Either` notices the event that it was made of."""
_log = logging.getLogger(__name__)


class UnknownSensorError(EdgeAgentError, LookupError):
    """No device of that name, or a stream of a board, which has no device of its own."""


class Either(threading.Event):
    """Set once it or `whole` is: what ends a part may do so before the whole ends."""

    def __init__(self, whole: threading.Event) -> None:
        super().__init__()
        self._whole = whole

    def is_set(self) -> bool:
        """Whether either is."""
        return super().is_set() or self._whole.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Until either is set, or `timeout` seconds have passed."""
        left_s = float("inf") if timeout is None else timeout
        while not self.is_set() and left_s > 0:
            # On the whole, which may be more than an event; in steps, whose sum is the time asked for.
            self._whole.wait(min(left_s, POLL_S))
            left_s -= POLL_S
        return self.is_set()


def remembered(path: Path, names: Iterable[str]) -> dict[str, float | None]:
    """Which of `names` were muted last: for how many seconds, None for good.

    A time begins anew, since nobody knows what has passed of it. All are, where that cannot be read.
    """
    known = list(names)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        kept = {str(name): None if for_s is None else float(for_s) for name, for_s in said.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        _log.warning("%s cannot be read, so every sensor is muted: %s", path, error)
        return dict.fromkeys(known)
    return {name: for_s for name, for_s in kept.items() if name in known}


class Mutable(Protocol):
    """A device that can be closed and opened again (`stages.Acquisition`)."""

    def mute(self, *, on: bool) -> None:
        """Close the device soon, or open it again; safe from any thread."""
        ...

    @property
    def muted(self) -> bool:
        """Whether it is closed because it was muted."""
        ...


class Muting:
    """Which sensors are muted, and for how long. `mute` from any thread, `tick` now and then in one.

    `devices` is sensor -> what is muted; `streams` is stream -> the sensor whose device it comes through;
    `muted` are those that the configuration mutes.
    """

    def __init__(
        self,
        devices: Mapping[str, Mutable],
        clock: Clock,
        path: Path,
        *,
        streams: Mapping[str, str],
        muted: Iterable[str] = (),
    ) -> None:
        self._devices = dict(devices)
        self._streams = streams
        self._clock = clock
        self._path = path
        self._lock = threading.Lock()
        self._until: dict[str, tuple[int, bool]] = {}
        """Sensor -> when that ends, in ns, and what comes then."""
        self._kept = remembered(path, self._devices)
        for name in muted:
            self._devices[name].mute(on=True)
        for name, for_s in self._kept.items():
            self._set(name, on=True, for_s=for_s)

    def mute(self, name: str, *, on: bool, for_s: float | None = None) -> None:
        """Close the device of the sensor `name`, or open it again; for `for_s` seconds, or for good.

        Returns at once; `muted` tells when the device is closed. Raises UnknownSensorError.
        """
        self._check(name)
        with self._lock:
            self._set(name, on=on, for_s=for_s)
            if on or for_s is not None:  # what is open for a time is closed in the end, also after a restart
                self._kept[name] = for_s if on else None
            else:
                self._kept.pop(name, None)
            self._keep()

    def muted(self, name: str) -> bool:
        """Whether that device is closed because it was muted. Raises UnknownSensorError."""
        self._check(name)
        return self._devices[name].muted

    def tick(self) -> None:
        """End what was asked for a time that is over."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            for name, (until_ns, then) in list(self._until.items()):
                if now_ns >= until_ns:
                    self._set(name, on=then, for_s=None)
                    if not then:
                        self._kept.pop(name, None)
                        self._keep()

    def _set(self, name: str, *, on: bool, for_s: float | None) -> None:
        self._until.pop(name, None)
        if for_s is not None:
            self._until[name] = (self._clock.monotonic_ns() + round(for_s * NS_PER_S), not on)
        self._devices[name].mute(on=on)

    def _check(self, name: str) -> None:
        if name in self._devices:
            return
        if name in self._streams:
            raise UnknownSensorError(
                f'"{name}" comes through the device of "{self._streams[name]}"',
                hint=f'mute "{self._streams[name]}"; all that comes through it falls silent',
            )
        raise UnknownSensorError(f'there is no sensor "{name}"', hint=f"there are {', '.join(self._devices)}")

    # -- what is remembered ------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Write it whole or not at all."""
        try:
            write_whole(self._path, json.dumps(self._kept, indent=1) + "\n")
        except OSError as error:
            _log.warning("%s cannot be written: %s; muted until the agent ends", self._path, error.strerror)
