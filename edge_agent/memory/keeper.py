"""Takes what is perceived to the memory, in a thread of its own: a slow disk never delays the fast path."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Collection

from edge_agent.mailbox import Mailbox
from edge_agent.manifest import Manifest
from edge_agent.memory.notes import Event, Note, note_of
from edge_agent.memory.store import Store
from edge_agent.types import Percept

_WAITING = 512
_PATIENCE_S = 0.5
_log = logging.getLogger(__name__)


class Keeper:
    """`remember` from the fast path, `run` in the memory's thread.

    What the disk is too slow for, or refuses, is lost and counted in the store's `lost`.
    """

    name = "memory"

    def __init__(self, store: Store, manifest: Manifest, configured: Collection[str]) -> None:
        self._store = store
        self._manifest = manifest
        self._configured = frozenset(configured)
        self._waiting: Mailbox[Note | Event] = Mailbox(_WAITING)

    def remember(self, percept: Percept) -> None:
        """Note what a percept tells; never waits."""
        self._put(note_of(percept, self._manifest, self._configured))

    def remember_event(self, event: Event) -> None:
        """Note what was published; never waits."""
        self._put(event)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`, then what is still waiting."""
        while not stop.is_set():
            self._keep(self._waiting.take(_PATIENCE_S))
        for item in self._waiting.take_all():
            self._keep(item)

    @property
    def problem(self) -> str:
        """A disk that is slow or full is no reason to start again: it is logged and counted."""
        return ""

    def _put(self, item: Note | Event) -> None:
        if self._waiting.put(item) is not None:
            self._store.lost += 1

    def _keep(self, item: Note | Event | None) -> None:
        try:
            if isinstance(item, Note):
                self._store.observe(item)
            elif item is not None:
                self._store.event(item)
        except sqlite3.Error as error:
            if not self._store.lost:
                _log.error("cannot remember: %s", error)  # the message says it all
            self._store.lost += 1
