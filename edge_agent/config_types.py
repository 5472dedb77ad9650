"""What every table of the configuration is made of: strict, frozen, with paths relative to its file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator


class Frozen(BaseModel):
    """Strict, so that `port = "1883"` is an error and not a guess; no infinities, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )


def _resolve(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Path:
    # A default is a Path already, which pydantic's JSON mode would refuse.
    path: Path = value if isinstance(value, Path) else handler(value)
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path.expanduser()


FilePath = Annotated[Path, WrapValidator(_resolve)]
"""A path; a relative one is taken from the folder of the configuration file."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""One level of an MQTT topic: letters, digits, `_` and `-`, at most 64 characters (no `/`, `+`, `#`)."""
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=128)]
"""Levels of a topic, without wildcards."""
