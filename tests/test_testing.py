"""The contract of every sensor notices each promise that is broken: one broken sensor for each."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from edge_agent import testing
from edge_agent.testing import SensorContract
from edge_agent.types import Chunk, SensorHealth, SensorState

KEPT = np.zeros((2, 3), np.float32)


class Good:
    """Keeps every promise; `spoil` is what a test does to its chunks."""

    name, slot = "good", ""

    def __init__(self, spoil: Callable[[Chunk, int], Chunk] = lambda chunk, _: chunk) -> None:
        self.health = SensorHealth()
        self._spoil = spoil

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        for number in itertools.count():
            if stop.wait(0.001):
                break
            self.health.state = SensorState.ONLINE
            self.health.samples += 2
            times_ns = np.array([2 * number, 2 * number + 1], np.int64)
            yield self._spoil(Chunk("good", times_ns, np.full((2, 3), number, np.float32)), number)
        self.health.state, self.health.reason = SensorState.OFFLINE, "stopped"


class Contract(SensorContract):
    channels = {"good": 3}  # noqa: RUF012


def run(name: str, sensor: Good) -> None:
    """One test of the contract, as pytest would run it."""
    contract, stop = Contract(), threading.Event()
    test = getattr(contract, name)
    wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
    chunks = sensor.chunks(stop)
    taken = list(itertools.islice(chunks, contract.chunks_needed)) if "taken" in wanted else []
    given = {"sensor": sensor, "stop": stop, "taken": taken}
    try:
        test(**{name: given[name] for name in wanted})
    finally:
        stop.set()


TESTS = [name for name in vars(SensorContract) if name.startswith("test_")]


@pytest.mark.parametrize("name", TESTS)
def test_a_good_sensor_passes(name: str):
    run(name, Good())


def other(**changes: object) -> Callable[[Chunk, int], Chunk]:
    return lambda chunk, _: replace(chunk, **changes)


FORM = "test_chunks_have_the_promised_form"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (FORM, other(sensor="another")),
        (FORM, other(times_ns=np.array([0.0, 1.0]))),
        (FORM, other(values=np.zeros((2, 3), np.int64))),
        (FORM, other(values=np.zeros((2, 4), np.float32))),
        (FORM, other(times_ns=np.zeros(0, np.int64), values=np.zeros((0, 3), np.float32))),
        (FORM, other(lost=-1)),
        (FORM, other(simulated=True)),
        ("test_times_never_go_back", lambda chunk, n: replace(chunk, times_ns=chunk.times_ns - 9 * n)),
        ("test_times_never_go_back", lambda chunk, n: replace(chunk, times_ns=chunk.times_ns - 5 * (n == 2))),
        ("test_times_never_go_back", other(times_ns=np.array([5, 5], np.int64))),
    ],
)
def test_a_chunk_that_breaks_a_promise_is_noticed(name: str, spoil: Callable[[Chunk, int], Chunk]):
    with pytest.raises(AssertionError):
        run(name, Good(spoil))


class EagerlyOnline(Good):
    def __init__(self) -> None:
        super().__init__()
        self.health.state = SensorState.ONLINE


class WithoutReason(Good):
    def __init__(self) -> None:
        super().__init__()
        self.health.reason = ""


class NeverOnline(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        for chunk in super().chunks(stop):
            self.health.state = SensorState.DEGRADED
            yield chunk


class CountsNothing(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        for chunk in super().chunks(stop):
            self.health.samples = 0
            yield chunk


class Unstoppable(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        yield from super().chunks(threading.Event())


class StaysOnline(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        yield from super().chunks(stop)
        self.health.state = SensorState.ONLINE


class HangsAtItsEnd(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        yield from super().chunks(stop)
        threading.Event().wait(2)


class GivesOneMore(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        yield Chunk("good", np.zeros(1, np.int64), np.zeros((1, 3), np.float32))
        yield from super().chunks(stop)


class UsesItsArrayAgain(Good):
    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        for chunk in super().chunks(stop):
            KEPT[:] = chunk.values
            yield replace(chunk, values=KEPT)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("test_it_is_offline_before_it_starts", EagerlyOnline),
        ("test_it_is_offline_before_it_starts", WithoutReason),
        ("test_it_is_online_while_it_gives_and_counts_its_samples", NeverOnline),
        ("test_it_is_online_while_it_gives_and_counts_its_samples", CountsNothing),
        ("test_it_stops_when_told", Unstoppable),
        ("test_it_stops_when_told", StaysOnline),
        ("test_it_stops_when_told", HangsAtItsEnd),
        ("test_it_gives_nothing_when_it_was_stopped_before", GivesOneMore),
        ("test_its_chunks_do_not_change_afterwards", UsesItsArrayAgain),
    ],
)
def test_a_sensor_that_breaks_a_promise_is_noticed(
    name: str, broken: type[Good], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(testing, "STOP_WITHIN_S", 0.3)
    with pytest.raises(AssertionError):
        run(name, broken())


ONLY_OUR_TESTS_HAVE = {
    "hypothesis", "jsonschema", "torch", "sklearn", "scipy", "conftest", "contracts", "benchmarks", "export",
}  # fmt: skip


def test_it_needs_pytest_and_what_the_agent_needs_and_no_more():
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {ONLY_OUR_TESTS_HAVE}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from edge_agent.testing import SensorContract\n"
        "print(SensorContract.__name__)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "SensorContract"
