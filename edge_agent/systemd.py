"""Tells systemd how we are: sd_notify(3), by the standard library alone.

The protocol is a datagram of `KEY=value` lines to the socket that $NOTIFY_SOCKET names; a first character
`@` means an abstract address. Without that variable every call does nothing, so that the agent runs the
same in a terminal.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

_SEND_TIMEOUT_S = 0.5


class Notifier:
    """Sends states to the service manager. `watchdog_interval_s` is how often `alive` is due; None: never."""

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        self.address = address or None
        self.watchdog_interval_s = watchdog_interval_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Notifier:
        """Read $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID as sd_watchdog_enabled(3) does."""
        variables = os.environ if environment is None else environment
        return cls(variables.get("NOTIFY_SOCKET"), _watchdog_interval_s(variables))

    def ready(self, status: str = "") -> bool:
        """Everything is loaded and running."""
        return self._send("READY=1", status)

    def status(self, status: str) -> bool:
        """One line for `systemctl status`."""
        return self._send("", status)

    def alive(self) -> bool:
        """Feed the watchdog. Call it only when every stage has moved or is idle for a good reason."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """The configuration is read again; `ready` follows."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """The shutdown has begun."""
        return self._send("STOPPING=1", status)

    def _send(self, state: str, status: str = "") -> bool:
        """True when the datagram went out. A manager that cannot be reached must not stop the agent."""
        if self.address is None:
            return False
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + " ".join(status.split()))  # a line break would begin a new key
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_TIMEOUT_S)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        return True


def _watchdog_interval_s(variables: Mapping[str, str]) -> float | None:
    """Half of the allowed time, as the manual advises; None when no watchdog is set or it is not for us."""
    try:
        limit_us = int(variables.get("WATCHDOG_USEC", "0"))
        process = int(variables.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    if limit_us <= 0 or process != os.getpid():
        return None
    return limit_us / 2e6
