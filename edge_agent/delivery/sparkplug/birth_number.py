"""The bdSeq, which tells a host which NBIRTH a NDEATH belongs to; it goes on over restarts.

Source: Sparkplug 3.0.0, 4.3.1 and tck-id-topics-nbirth-bdseq-increment.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from edge_agent.delivery.sparkplug.session import SEQUENCES
from edge_agent.state_file import write_whole

FILE = "sparkplug.json"
_log = logging.getLogger(__name__)


class BirthNumbers:
    """0, 1, ... 255, 0: one for each CONNECT packet. On a faulty disk they go on from what is remembered."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._last = self._on_disk = self._load()

    def take(self) -> int:
        """The number of the next CONNECT packet, on disk before it is used."""
        self._last = (self._last + 1) % SEQUENCES
        self.keep()
        return self._last

    def give_back(self) -> None:
        """The number taken last was in no CONNECT packet.

        The disk learns of it by the next `take`, which needs not write then, or by `keep`: a broker that is
        away for days wears out no memory card.
        """
        self._last = (self._last - 1) % SEQUENCES

    def _load(self) -> int:
        try:
            last = json.loads(self._path.read_text(encoding="utf-8"))["bdSeq"]
            if isinstance(last, bool) or not isinstance(last, int) or not 0 <= last < SEQUENCES:
                raise ValueError(f"bdSeq is {last!r}")
        except FileNotFoundError:
            return SEQUENCES - 1
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("%s cannot be read: %s; the bdSeq begins at 0 again", self._path, error)
            return SEQUENCES - 1
        return last

    def keep(self) -> None:
        """Write the number that was used last, whole or not at all, where the disk has another one."""
        if self._last == self._on_disk:
            return
        try:
            write_whole(self._path, json.dumps({"bdSeq": self._last}), synced=True)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error.strerror)
        else:
            self._on_disk = self._last
