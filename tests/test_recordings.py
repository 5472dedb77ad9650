"""Where the demo's recordings come from, against a real HTTP server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from edge_agent import recordings
from edge_agent.recordings import Source, find

DEMO = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data")) / "demo"
CONTENT = {"a.csv": b"x_acc\n1\n" * 5000, "b.ogg": bytes(range(256)) * 300}


def source(file: str, path: str, slot: str) -> Source:
    content = CONTENT[file]
    return Source(
        file=file, repository="someone/set", commit="c0ffee", path=path, bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), licence="CC0", credit="nobody", slot=slot,
        label="dog" if slot == "audio" else "",
    )  # fmt: skip


LIST = (source("a.csv", "DATA/a.csv", "imu_phone"), source("b.ogg", "001 - Dog bark/b.ogg", "audio"))


@pytest.fixture
def published(tmp_path):
    """(base URL, folder that is served, paths that were asked for)."""
    root = tmp_path / "published"
    for entry in LIST:
        target = root / entry.repository / entry.commit / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(CONTENT[entry.file])
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object):
            asked.append(self.path)

    serve = functools.partial(Handler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", root / "someone" / "set" / "c0ffee", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def nowhere(tmp_path):
    return tmp_path / "nowhere"


def fill(folder: Path) -> Path:
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


class Bar:
    """A progress bar that counts."""

    def __init__(self) -> None:
        self.total = 0.0
        self.seen = 0.0
        self.closed = False

    def update(self, n):
        self.seen += n

    def reset(self):
        self.seen = 0

    def close(self):
        self.closed = True


def test_the_folder_comes_first_and_nothing_is_asked_of_the_network(tmp_path, nowhere, published):
    url, _, asked = published
    found = find(wanted=LIST, folder=fill(tmp_path / "data"), cache=nowhere, base_url=url)
    assert found is not None
    assert found.of_slot("audio") == (tmp_path / "data" / "b.ogg",)
    assert (found.label("b.ogg"), found.label("a.csv"), found.label("other")) == ("dog", "", "")
    assert asked == []
    assert "folder" in found.origin


def test_the_cache_comes_second(tmp_path, nowhere, published):
    url, _, asked = published
    found = find(wanted=LIST, folder=nowhere, cache=fill(tmp_path / "cache"), base_url=url)
    assert found is not None
    assert found.origin == "the cache of this user"
    assert asked == []


def test_they_are_fetched_once_with_a_progress_bar_and_then_cached(tmp_path, nowhere, published):
    url, _, asked = published
    bars: dict[str, Bar] = {}
    cache = tmp_path / "cache"
    found = find(
        wanted=LIST, folder=nowhere, cache=cache, base_url=url + "/",
        progress=lambda entry: bars.setdefault(entry.file, Bar()),
    )  # fmt: skip
    assert found is not None
    assert found.origin.startswith("downloaded from http://127.0.0.1")
    assert {name: path.read_bytes() for name, path in found.paths.items()} == CONTENT
    assert asked == ["/someone/set/c0ffee/DATA/a.csv", "/someone/set/c0ffee/001%20-%20Dog%20bark/b.ogg"]
    assert {name: bar.total for name, bar in bars.items()} == {n: len(c) for n, c in CONTENT.items()}
    assert all(bar.closed and bar.seen == bar.total for bar in bars.values())
    again = find(wanted=LIST, folder=nowhere, cache=cache, base_url=url)
    assert again is not None
    assert len(asked) == len(LIST)


def test_an_altered_file_in_the_cache_is_fetched_again_and_only_that_one(tmp_path, nowhere, published):
    url, _, asked = published
    cache = fill(tmp_path / "cache")
    (cache / "b.ogg").write_bytes(b"\xff" + CONTENT["b.ogg"][1:])
    said: list[str] = []
    found = find(wanted=LIST, folder=nowhere, cache=cache, base_url=url, report=said.append)
    assert found is not None
    assert found.paths["b.ogg"].read_bytes() == CONTENT["b.ogg"]
    assert len(asked) == 1
    assert "b.ogg is not the published file" in said[0]


def test_an_altered_folder_is_not_used_and_left_as_it_is(tmp_path, published):
    url, _, _ = published
    folder = fill(tmp_path / "data")
    (folder / "a.csv").write_bytes(b"altered")
    said: list[str] = []
    cache = tmp_path / "cache"
    found = find(wanted=LIST, folder=folder, cache=cache, base_url=url, report=said.append)
    assert found is not None
    assert found.paths["a.csv"] == cache / "a.csv"
    assert (folder / "a.csv").read_bytes() == b"altered"
    assert len(said) == 1


def test_a_published_file_with_another_sha256_is_refused(tmp_path, nowhere, published):
    url, served, _ = published
    (served / "DATA" / "a.csv").write_bytes(b"somebody else's")
    said: list[str] = []
    cache = tmp_path / "cache"
    assert find(wanted=LIST, folder=nowhere, cache=cache, base_url=url, report=said.append) is None
    assert not (cache / "a.csv").exists()
    assert "could not be fetched" in said[0]


def test_a_file_that_is_gone_is_reported(tmp_path, nowhere, published):
    url, served, _ = published
    (served / "DATA" / "a.csv").unlink()
    said: list[str] = []
    assert find(wanted=LIST, folder=nowhere, cache=tmp_path / "c", base_url=url, report=said.append) is None
    assert "404" in said[0]


def test_without_a_network_it_ends_at_once_and_says_so(tmp_path, nowhere):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"  # bound, but nobody listens
        said: list[str] = []
        assert (
            find(wanted=LIST, folder=nowhere, cache=tmp_path / "c", base_url=url, report=said.append) is None
        )
    assert len(said) == 1
    assert "could not be fetched" in said[0]


def test_a_server_that_never_answers_is_given_up(tmp_path, nowhere):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        before_s = time.monotonic()
        said: list[str] = []
        found = find(
            wanted=LIST, folder=nowhere, cache=tmp_path / "c", timeout_s=0.3, report=said.append,
            base_url=f"http://127.0.0.1:{deaf.getsockname()[1]}",
        )  # fmt: skip
    assert found is None
    assert said
    assert time.monotonic() - before_s < 20


def test_a_cache_that_cannot_be_written_is_no_crash(tmp_path, nowhere, published):
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    cache = tmp_path / "file" / "cache"
    assert find(wanted=LIST, folder=nowhere, cache=cache, base_url=published[0], report=said.append) is None
    assert said


def test_the_folder_is_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("EDGE_AGENT_DATA", "/srv/recordings")
    assert recordings.data_folder() == Path("/srv/recordings/demo")
    monkeypatch.delenv("EDGE_AGENT_DATA")
    assert recordings.data_folder() == Path("../shared/data/demo")


def test_the_list_is_complete_and_each_slot_has_recordings():
    entries = recordings.sources()
    assert {entry.slot for entry in entries} == {"imu_phone", "imu_watch", "audio"}
    for entry in entries:
        assert len(entry.commit) == 40
        assert len(entry.sha256) == 64
        assert entry.credit
        assert entry.licence.startswith("CC BY")
        assert (entry.label != "") is (entry.slot == "audio")
        assert " " not in entry.url_path


@pytest.mark.skipif(not DEMO.is_dir(), reason="the demo recordings are not on this machine")
def test_the_recordings_on_this_machine_are_the_listed_ones(nowhere):
    found = find(folder=DEMO, cache=nowhere, base_url="http://127.0.0.1:9")
    assert found is not None
    assert len(found.of_slot("imu_phone")) == len(found.of_slot("imu_watch")) == 2
    assert len(found.of_slot("audio")) == 5
