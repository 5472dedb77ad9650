"""A light that is on while what is said is kept: a file under /sys/class/leds (Linux, leds-class.rst)."""

from __future__ import annotations

import logging
from pathlib import Path

_log = logging.getLogger(__name__)


class Led:
    """`path` is its file `brightness`. One that cannot be written is reported once and tried again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faulty = False
        self._shown: bool | None = None

    def show(self, *, on: bool) -> None:
        """Switch it; does nothing where it is so already."""
        if on == self._shown:
            return
        try:
            self._path.write_text(f"{self._brightest() if on else 0}\n", encoding="ascii")
        except OSError as error:
            if not self._faulty:
                _log.warning("the light %s cannot be switched: %s", self._path, error.strerror)
            self._faulty = True
        else:
            self._shown, self._faulty = on, False

    def _brightest(self) -> int:
        """The kernel says beside it how bright it can be."""
        try:
            return int((self._path.parent / "max_brightness").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 1
