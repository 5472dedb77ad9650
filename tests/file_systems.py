"""A small disk of a test's own, where file systems may be mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def file_system(folder: Path, size: str) -> Iterator[bool]:
    """A folder that is a file system of that size, as tmpfs takes it; whether it could be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield mounted
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """The folder of such a file system. Skips where none may be mounted."""
    with file_system(folder, size) as mounted:
        if not mounted:
            pytest.skip("needs the right to mount a tmpfs")
        yield folder
