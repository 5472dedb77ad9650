"""A folder that can be carried: few and small files, each under a checksum; the manifest is written last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

MANIFEST = "job.json"
FILE_BYTES = 16 * 2**20
TOTAL_BYTES = 64 * 2**20
MOST_FILES = 8
"""Of results: more may not come back from the machine that made them."""
WEIGHT_BYTES = FILE_BYTES - 2**18
"""Of the tensors in one file: the headers need a little room."""


def seal(folder: Path, facts: Mapping[str, Any], *, most_files: int | None = None) -> int:
    """Check the sizes and write the manifest; returns the total bytes.

    Raises ValueError naming what is too large or too many; then there is no manifest.
    """
    path = folder / MANIFEST
    path.unlink(missing_ok=True)
    files = sorted(f for f in folder.iterdir() if f.is_file())
    for file in files:
        if (size := file.stat().st_size) > FILE_BYTES:
            raise ValueError(f"{file.name} has {_mib(size)}; a file may have {_mib(FILE_BYTES)}")
    sums = {f.name: {"bytes": f.stat().st_size, "sha256": sha256(f)} for f in files}
    text = json.dumps({**facts, "files": sums}, indent=1) + "\n"
    total = sum(f.stat().st_size for f in files) + len(text.encode())
    if total > TOTAL_BYTES:
        raise ValueError(f"{folder} has {_mib(total)} in all; {_mib(TOTAL_BYTES)} may be carried")
    if most_files is not None and len(files) + 1 > most_files:
        raise ValueError(f"{folder} has {len(files) + 1} files; {most_files} may be carried")
    path.write_text(text, encoding="utf-8")
    return total


def unseal(folder: Path) -> dict[str, Any]:
    """The facts of a sealed folder, every file checked.

    Raises FileNotFoundError without a manifest, ValueError naming a file that is missing or has changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: the folder was not finished, or not carried whole")
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, file in facts["files"].items():
        there = folder / name
        if not there.is_file():
            raise ValueError(f"{there} is missing: carry the folder again")
        if sha256(there) != file["sha256"]:
            raise ValueError(f"{there} is not what was packed: carry the folder again")
    return facts


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_weights(folder: Path, state: Mapping[str, Tensor]) -> None:
    """Tensors in fp16, in as many files as the size of one asks for, in their order.

    Raises ValueError for a weight that fp16 cannot hold.
    """
    for old in folder.glob("weights_*.npz"):
        old.unlink()
    files: list[dict[str, Any]] = [{}]
    room = WEIGHT_BYTES
    for name, tensor in state.items():
        half = tensor.detach().cpu().half()
        if not half.isfinite().all():
            raise ValueError(f"{name} has numbers that fp16 cannot hold: training went astray")
        size = half.numel() * 2 + 512  # the header of its entry
        if size > room and files[-1]:
            files.append({})
            room = WEIGHT_BYTES
        files[-1][name] = half.numpy()
        room -= size
    for i, arrays in enumerate(files):
        np.savez(folder / f"weights_{i:02d}.npz", **arrays)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """What `write_weights` wrote, in fp32."""
    state: dict[str, Tensor] = {}
    for path in sorted(folder.glob("weights_*.npz")):
        with np.load(path, allow_pickle=False) as file:
            state |= {name: torch.from_numpy(file[name]).float() for name in file.files}
    return state


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
