"""What is measured of a sensor that fills no slot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.flow import KEPT_SAMPLES, FlowMeter
from edge_agent.types import Chunk

PERIOD_NS = 10_000_000


def chunk(times_ns: list[int], value: float = 1.0) -> Chunk:
    times = np.array(times_ns, np.int64)
    return Chunk("x", times, np.full((len(times), 2), value, np.float32))


def test_before_anything_came_nothing_is_known():
    flow = FlowMeter().flow(5)
    assert (flow.rate_hz, flow.gaps, flow.age_s) == (0.0, 0, math.inf)


@given(cuts=st.lists(st.integers(1, 30), min_size=2, max_size=40))
def test_rate_jitter_and_gaps_do_not_depend_on_the_chunks(cuts):
    meter, at = FlowMeter(), 0
    for size in cuts:
        meter.add(chunk([(at + i) * PERIOD_NS for i in range(size)]))
        at += size
    flow = meter.flow(at * PERIOD_NS)
    assert flow.rate_hz == pytest.approx(100, rel=1e-6) if at > 1 else flow.rate_hz == 0
    assert flow.jitter_ms == pytest.approx(0, abs=1e-6)
    assert flow.gaps == 0
    assert flow.age_s == pytest.approx(0.01)


def test_a_gap_is_counted_once_and_memory_is_bounded():
    meter = FlowMeter()
    for start in range(0, 2000, 10):
        late = 50 if start >= 1000 else 0
        meter.add(chunk([(start + i + late) * PERIOD_NS for i in range(10)], value=start))
    assert meter.gaps == 1
    assert len(meter._times_ns) == KEPT_SAMPLES
    assert meter.newest is not None
    assert meter.newest.tolist() == [1990, 1990]
