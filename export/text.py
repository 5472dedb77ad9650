"""Plain English for the language model: open textbooks and public-domain novels."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

FILES = (
    "openstax_physics.txt.xz",
    "openstax_anatomy.txt.xz",
    "openstax_sociology.txt.xz",
    "gutenberg_novels.txt.xz",
)
_MARKUP = ("<", "{", "](", "&", "*", "_", "#", "|")


def paragraphs(root: Path, limit_chars: int) -> Iterator[str]:
    """Paragraphs of plain prose, up to `limit_chars` from each file of `root`/text.

    Raises FileNotFoundError naming the file when the corpus is not there.
    """
    for name in FILES:
        taken = 0
        with lzma.open(root / "text" / name, "rt", encoding="utf-8", errors="replace") as file:
            for blank, lines in groupby(file, key=lambda line: not line.strip()):
                if blank:
                    continue
                text = " ".join(line.strip() for line in lines)
                if len(text) < 80 or any(mark in text for mark in _MARKUP):
                    continue
                yield text
                taken += len(text)
                if taken > limit_chars:
                    break
