"""What recognisers of other packages share: a package that is loaded when chosen, a model of the user's."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from edge_agent.errors import VoiceError

THREADS = 2
"""For a model that is much larger than ours; two cores are left to the sensors on a Pi."""


def load(module: str, package: str) -> Any:
    """A package by name. Raises VoiceError with how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise VoiceError(f"{package} cannot be loaded: {error}", hint=f"pip install {package}") from error


def model_at(path: Path, hint: str, *parts: str) -> Path:
    """The model's file, or its folder with `parts` in it. Raises VoiceError where something is missing."""
    wanted = [path / part for part in parts] or [path]
    missing = next((p for p in wanted if not p.exists()), None)
    if missing is not None or path.is_dir() != bool(parts):
        kind = "folder" if parts else "file"
        raise VoiceError(f"there is no model {kind} {missing or path}", hint=hint)
    return path.absolute()
