"""A hundred unplugs: no thread, no descriptor and no memory is lost, and every one is recovered from."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for
from contracts.chip import Bench

from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated import IMU_CHANNELS, IMU_UNITS, SimulatedMcu, SimulatedStream, simulated_imu
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

STORM = 100
LEAST_BYTES = 200_000
"""Under this, growth is the interpreter's own."""


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_chip_that_is_unplugged_a_hundred_times_costs_nothing():
    bench = Bench("mpu6050", steady(0, 0, 9.81, 0, 0, 0))
    bench.take(10)
    gc.collect()
    tracemalloc.start()
    before = descriptors(), threading.active_count(), tracemalloc.get_traced_memory()[0]
    for _ in range(STORM):
        chip = bench.adapter.chips.pop(bench.address)
        away = [2]  # so many exchanges later it is back

        def pause(seconds: float, chip=chip, away=away) -> None:
            away[0] -= 1
            if away[0] < 0 and bench.sensor.health.state is SensorState.OFFLINE:
                bench.adapter.chips[bench.address] = chips.simulated("mpu6050")(
                    bench.clock, steady(0, 0, 9.81, 0, 0, 0), 0
                )
            bench.clock.advance(seconds)

        bench.bus._pause = pause
        bench.take(2)
    gc.collect()
    after = descriptors(), threading.active_count(), tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert bench.sensor.health.reconnects == STORM
    assert bench.sensor.health.state is SensorState.ONLINE
    assert after[:2] == before[:2]
    assert after[2] - before[2] < LEAST_BYTES


@pytest.mark.e2e
@pytest.mark.timeout(240)
def test_a_board_that_is_unplugged_a_hundred_times_costs_nothing(tmp_path: Path):
    t_us, values = simulated_imu("walking", 4.0, np.random.default_rng(3))
    target = {"imu": StreamTarget("imu", "imu_phone", IMU_CHANNELS, IMU_UNITS)}
    stop, newest = threading.Event(), [0]
    with SimulatedMcu([SimulatedStream("imu", t_us, values)], link=tmp_path / "board") as mcu:
        sensor = SerialBridgeSensor("board", str(tmp_path / "board"), target)

        def read() -> None:
            for chunk in sensor.chunks(stop):
                newest[0] += len(chunk.times_ns)

        threads = [threading.Thread(target=mcu.run, args=(stop,)), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        wait_for(lambda: newest[0] > 20)
        gc.collect()
        before = descriptors(), threading.active_count()
        for _ in range(STORM):
            mcu.unplug()
            wait_for(lambda: sensor.health.state is SensorState.OFFLINE)
            had = newest[0]
            mcu.plug()
            wait_for(lambda had=had: newest[0] > had, what="samples after a replug")
        gc.collect()
        assert (descriptors(), threading.active_count()) == before
        assert sensor.health.reconnects == STORM
        stop.set()
        for thread in threads:
            thread.join(5)
