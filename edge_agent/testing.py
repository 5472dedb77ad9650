"""What every Sensor promises (`edge_agent.types.Sensor`), as a suite that any sensor's own tests can run.

Needs pytest. A test module inherits `SensorContract` under a name that begins with Test and overrides
`sensor`, and the class attributes where they differ. The sensor must be able to give chunks as soon as it
is asked. docs/plugins.md has a complete example.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

from edge_agent.types import SensorState

STOP_WITHIN_S = 5.0  # promised: 0.2 s; here wide, so that a busy machine fails nothing
ENOUGH = 5


class SensorContract:
    """See the module."""

    channels: Mapping[str, int] = MappingProxyType({})
    """Chunk.sensor -> how many channels; every one of them must appear."""
    simulated = False
    chunks_needed = ENOUGH
    """How many chunks to read until every source has spoken."""

    @pytest.fixture
    def sensor(self):
        raise NotImplementedError("override with a fixture that gives a fresh, unstarted sensor")

    @pytest.fixture
    def stop(self):
        event = threading.Event()
        yield event
        event.set()

    @pytest.fixture
    def taken(self, sensor, stop):
        source = sensor.chunks(stop)  # kept until the test is over: to let it go is to close it
        chunks = list(itertools.islice(source, self.chunks_needed))
        assert len(chunks) == self.chunks_needed
        yield chunks
        stop.set()
        source.close()

    def test_it_is_offline_before_it_starts(self, sensor):
        assert sensor.health.state is SensorState.OFFLINE
        assert sensor.health.reason
        assert sensor.health.samples == 0
        assert sensor.name

    def test_chunks_have_the_promised_form(self, taken):
        assert {chunk.sensor for chunk in taken} == set(self.channels)
        for chunk in taken:
            assert chunk.times_ns.dtype == np.int64
            assert chunk.values.dtype in (np.float32, np.float64)
            assert chunk.values.shape == (len(chunk.times_ns), self.channels[chunk.sensor])
            assert len(chunk.times_ns) > 0
            assert chunk.lost >= 0
            assert chunk.simulated is self.simulated

    def test_times_never_go_back(self, taken):
        for name in self.channels:
            times = np.concatenate([chunk.times_ns for chunk in taken if chunk.sensor == name])
            assert len(times) > 1
            assert (np.diff(times) >= 0).all()
            assert times[-1] > times[0]

    def test_it_is_online_while_it_gives_and_counts_its_samples(self, sensor, taken):
        assert sensor.health.state is SensorState.ONLINE
        assert sensor.health.samples >= sum(len(chunk.times_ns) for chunk in taken)

    def test_it_stops_when_told(self, sensor, stop):
        first = threading.Event()
        ended = threading.Event()

        def consume():
            for _ in sensor.chunks(stop):
                first.set()
            ended.set()

        thread = threading.Thread(target=consume, daemon=True)
        thread.start()
        assert first.wait(STOP_WITHIN_S)
        stop.set()
        thread.join(STOP_WITHIN_S)
        assert ended.is_set()
        assert sensor.health.state is SensorState.OFFLINE

    def test_it_gives_nothing_when_it_was_stopped_before(self, sensor, stop):
        stop.set()
        assert list(sensor.chunks(stop)) == []

    def test_its_chunks_do_not_change_afterwards(self, sensor, stop):
        chunks = sensor.chunks(stop)
        kept = next(chunks)
        times, values = kept.times_ns.copy(), kept.values.copy()
        for _ in itertools.islice(chunks, 2):
            pass
        np.testing.assert_array_equal(kept.times_ns, times)
        np.testing.assert_array_equal(kept.values, values)
