"""The estimator against a simulated clock of known offset, drift and delays."""

from __future__ import annotations

import random

import pytest

from firmware_bridge import ClockEstimator


def simulate(
    estimator: ClockEstimator, *, drift_ppm: float, seconds: int, jitter_us: float, seed: int = 1
) -> tuple[int, int]:
    """One exchange a second with one-sided exponential delays; returns (device_us, host_ns) at the end."""
    rng = random.Random(seed)
    offset_us = 3_000_000_000
    origin_ns = 77_000_000_000_000

    def device_us(host_ns: float) -> int:
        return offset_us + int((host_ns - origin_ns) / 1000 * (1 + drift_ppm * 1e-6))

    host_ns = float(origin_ns)
    for second in range(seconds):
        host_ns = origin_ns + second * 1e9
        there_ns = (100 + rng.expovariate(1 / jitter_us)) * 1000
        back_ns = (100 + rng.expovariate(1 / jitter_us)) * 1000
        received_us = device_us(host_ns + there_ns)
        replied_us = device_us(host_ns + there_ns + 50_000)
        assert estimator.add(
            int(host_ns), received_us, replied_us, int(host_ns + there_ns + 50_000 + back_ns)
        )
    return device_us(host_ns), int(host_ns)


@pytest.mark.parametrize("drift_ppm", [0.0, 40.0, -100.0, 10_000.0])
def test_offset_and_drift_are_found(drift_ppm: float):
    estimator = ClockEstimator()
    device_us, host_ns = simulate(estimator, drift_ppm=drift_ppm, seconds=60, jitter_us=300)
    assert estimator.map is not None
    assert abs(estimator.map.to_host_ns(device_us) - host_ns) < 200_000
    assert estimator.map.drift_ppm == pytest.approx(drift_ppm, abs=5)


@pytest.mark.parametrize("seed", range(5))
def test_before_the_drift_is_known_the_error_allows_for_that_of_a_crystal(seed: int):
    estimator = ClockEstimator()
    device_us, host_ns = simulate(estimator, drift_ppm=100, seconds=5, jitter_us=20, seed=seed)
    assert estimator.map is not None
    assert estimator.map.drift_ppm == 0
    assert abs(estimator.map.to_host_ns(device_us) - host_ns) <= estimator.map.error_ns
    assert estimator.map.offset_ns == estimator.map.host_ns - 1000 * estimator.map.device_us


def test_a_single_exchange_gives_the_offset():
    estimator = ClockEstimator()
    assert estimator.map is None
    estimator.add(1_000_000, 500, 600, 1_300_000)
    assert estimator.map is not None
    assert estimator.map.to_host_ns(550) == 1_150_000
    assert estimator.map.to_host_ns(1550) == 2_150_000
    assert estimator.map.error_ns == 100_000


def test_a_held_up_exchange_does_not_move_the_clock():
    estimator = ClockEstimator()
    device_us, host_ns = simulate(estimator, drift_ppm=20, seconds=30, jitter_us=50)
    estimator.add(host_ns + 1, device_us + 400_000, device_us + 400_001, host_ns + 500_000_000)
    assert estimator.map is not None
    assert abs(estimator.map.to_host_ns(device_us) - host_ns) < 200_000


def test_an_impossible_exchange_is_ignored():
    estimator = ClockEstimator()
    assert not estimator.add(10, 5, 4, 20)
    assert not estimator.add(10, 5, 6, 9)
    assert estimator.map is None


def test_no_drift_is_invented_from_a_short_span():
    estimator = ClockEstimator()
    for i in range(5):
        estimator.add(i * 10_000_000, i * 10_050, i * 10_050 + 1, i * 10_000_000 + 200_000)
    assert estimator.map is not None
    assert estimator.map.drift_ppm == 0
