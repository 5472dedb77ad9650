"""A small file of the state directory, which is there whole or as it was before."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str, *, synced: bool = False) -> None:
    """Replace the file in one step; `synced`: on the disk before it is. Raises OSError."""
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)
