"""Shared fixtures: a real broker on a free loopback port, and what may be missing on a machine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.broker import Broker, free_port, program  # noqa: F401  # tests take free_port from here

pytest.register_assert_rewrite("edge_agent.testing")

ROOT = Path(__file__).resolve().parent.parent


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0, what: str = "it") -> object:
    """The first true value of `condition`; fails the test when none comes."""
    never = threading.Event()
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for {what}"
        never.wait(0.02)
    return value


class Mosquitto(Broker):
    """A mosquitto of a test's own; without one, the test is skipped."""

    def start(self) -> None:
        if program() is None:
            pytest.skip("mosquitto is not installed (apt install mosquitto)")
        super().start()


@pytest.fixture
def stopped_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that the test starts itself."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def broker(stopped_broker: Mosquitto) -> Mosquitto:
    stopped_broker.start()
    return stopped_broker


@pytest.fixture(scope="session")
def demo_recordings() -> Path:
    """The folder with the real recordings of the demo."""
    folder = Path(os.environ.get("EDGE_AGENT_DATA", ROOT.parent / "shared" / "data")) / "demo"
    if not (folder / "s01_01_sp.csv").is_file():
        pytest.skip(f"no recordings at {folder}; set EDGE_AGENT_DATA")
    return folder


@pytest.fixture(scope="session")
def shipped_model() -> Path:
    """The trained model."""
    folder = ROOT / "models" / "iotlm-7m"
    if not (folder / "manifest.json").is_file():
        pytest.skip("models/iotlm-7m is not here yet")
    return folder


@pytest.fixture(scope="session")
def codec(shipped_model: Path) -> Any:
    """With the vocabulary of the shipped model, which no family may need changed."""
    import gguf

    from export.batches import Codec
    from export.restore import tokenizer

    return Codec(tokenizer(gguf.GGUFReader(shipped_model / "lm-q8_0.gguf")))


@pytest.fixture(scope="session")
def network() -> Any:
    """The speech network, loaded once."""
    pytest.importorskip("moonshine_voice", reason="pip install 'iotlm-edge[voice]'")
    from edge_agent.voice.speech_network import SpeechNetwork

    return SpeechNetwork()


@pytest.fixture(scope="session")
def random_model() -> Path:
    """A model folder of random weights: right in shape, meaningless in what it says."""
    pytest.importorskip("torch", reason="the random model is written with torch")
    import random_model as builder

    return builder.shared().folder
