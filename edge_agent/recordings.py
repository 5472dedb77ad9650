"""Finds the demo's recordings: real people and real sounds that the shipped model has never met.

Looked for in this order: the folder `$EDGE_AGENT_DATA/demo` (default `../shared/data/demo`), the user's
cache, and the place where their makers publish them, from where the cache is filled. Every file is used only
when its sha256 is the one in `demo_sources.json`. With none of these `find` returns None and the caller
shows simulated sensors instead, named as such.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pooch

from edge_agent.manifest import sha256_of

DATA_VARIABLE = "EDGE_AGENT_DATA"
PUBLISHED_AT = "https://raw.githubusercontent.com"
TIMEOUT_S = 5.0
"""For a connection and for each read: without a network the demo begins soon all the same."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One published file. `label` is what a sound file holds as a whole, "" for motion (it is inside)."""

    file: str
    repository: str
    commit: str
    path: str
    bytes: int
    sha256: str
    licence: str
    credit: str
    slot: str
    label: str

    @property
    def url_path(self) -> str:
        """Where it is published, below the base URL."""
        return quote(f"{self.repository}/{self.commit}/{self.path}")


@dataclass(frozen=True, slots=True)
class Recordings:
    """Verified files: `paths` file name -> path, and where they were found, in words."""

    paths: Mapping[str, Path]
    origin: str
    sources: tuple[Source, ...]

    def of_slot(self, slot: str) -> tuple[Path, ...]:
        """The recordings for one slot, in the order of the list."""
        return tuple(self.paths[source.file] for source in self.sources if source.slot == slot)

    def label(self, file: str) -> str:
        """What a whole file holds; "" when its labels are inside it or the file is not of the list."""
        return next((source.label for source in self.sources if source.file == file), "")


class ProgressBar(Protocol):
    """What pooch asks of a progress bar."""

    total: float

    def update(self, n: float) -> object:
        """Another n bytes have come."""

    def reset(self) -> object:
        """Back to none."""

    def close(self) -> object:
        """No more will come."""


def sources() -> tuple[Source, ...]:
    """The list that comes with this package."""
    text = resources.files("edge_agent").joinpath("demo_sources.json").read_text(encoding="utf-8")
    return tuple(Source(**entry) for entry in json.loads(text))


def find(
    *,
    wanted: tuple[Source, ...] | None = None,
    folder: Path | None = None,
    cache: Path | None = None,
    base_url: str = PUBLISHED_AT,
    timeout_s: float = TIMEOUT_S,
    progress: Callable[[Source], ProgressBar] | None = None,
    report: Report = lambda _: None,
) -> Recordings | None:
    """All recordings, verified, or None. Never raises for the network, a full disk or an altered file.

    `progress` makes the progress bar of one download; `report` gets a line for whatever did not work.
    `folder` and `cache` stand in for the places named above.
    """
    files = sources() if wanted is None else wanted
    folder = data_folder() if folder is None else folder
    cache = Path(pooch.os_cache("edge-agent")) / "demo" if cache is None else cache
    if (found := _verified(folder, files, report)) is not None:
        return Recordings(found, f"the folder {folder}", files)
    if (found := _verified(cache, files, report)) is not None:
        return Recordings(found, "the cache of this user", files)
    try:
        _download(cache, files, base_url, timeout_s, progress)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong sha256 is a ValueError
        report(f"the recordings could not be fetched: {_first_line(error)}")
        return None
    found = _verified(cache, files, report)
    return None if found is None else Recordings(found, f"downloaded from {base_url}", files)


def data_folder() -> Path:
    """`$EDGE_AGENT_DATA/demo`; without that variable, in `../shared/data` of the working folder."""
    named = os.environ.get(DATA_VARIABLE)
    return (Path(named) if named else Path("..", "shared", "data")) / "demo"


def _verified(folder: Path, files: tuple[Source, ...], report: Report) -> dict[str, Path] | None:
    """All files of the list when the folder holds them unaltered. An incomplete folder is no news."""
    found = {}
    for source in files:
        path = folder / source.file
        try:
            if not path.is_file():
                return None
            good = path.stat().st_size == source.bytes and sha256_of(path) == source.sha256
        except OSError as error:
            report(f"{path} cannot be read: {error.strerror}")
            return None
        if not good:
            report(f"{path} is not the published file (its sha256 differs); it is not used")
            return None
        found[source.file] = path
    return found


def _download(
    cache: Path,
    files: tuple[Source, ...],
    base_url: str,
    timeout_s: float,
    progress: Callable[[Source], ProgressBar] | None,
) -> None:
    """Fetch what the cache lacks or holds altered. Stops at the first failure: the next would fail too."""
    pooch.get_logger().setLevel("WARNING")  # the progress bar says the rest
    store = pooch.create(
        path=cache,
        base_url="",
        registry={source.file: f"sha256:{source.sha256}" for source in files},
        urls={source.file: f"{base_url.rstrip('/')}/{source.url_path}" for source in files},
    )
    for source in files:
        bar = progress(source) if progress is not None else False
        store.fetch(source.file, downloader=pooch.HTTPDownloader(progressbar=bar, timeout=timeout_s))


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
