"""The virtual sound card of the demo, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.demo_room import Room, missing


@contextmanager
def room(folder: Path) -> Iterator[Room]:
    """Skips where the sound card cannot be made; the reason says what to install."""
    if lacking := missing():
        pytest.skip(lacking)
    made = Room(folder)
    made.plug()
    try:
        yield made
    finally:
        made.unplug()
