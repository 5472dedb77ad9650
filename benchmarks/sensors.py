"""What sensing costs: `python -m benchmarks.sensors [--seconds 10]`. Only the last part loads a model.

I2C reads go through the real bus class to simulated chips, so they are the price of our side: on real
hardware the wire adds its own (at 400 kHz about 23 us a byte). The row of a chip holds the simulated chip as
well; what is at a port, a sound server or a broker is a process of its own and is not counted.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

import numpy as np

from benchmarks import bridge
from benchmarks.sensor_devices import CLOCK, DEVICES, NotHereError, chip
from benchmarks.timing import DEFAULT_MODEL, verdict
from edge_agent import manifest as manifests
from edge_agent.clock import ManualClock
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.stages import Acquisition
from edge_agent.types import Chunk, Sensor
from edge_agent.windows import Windows

TWELVE = (
    "mpu6050", "icm20948", "lsm6dsox", "bno055", "amg8833", "d6t", "vl53l0x", "mpr121", "bme280", "sht31",
    "bh1750", "scd41",
)  # fmt: skip
"""As many chips as one board may carry."""
MODALITIES = {
    "imu": "icm20948", "capacitance": "mpr121", "lidar": "ld06", "thermal": "mlx90640", "depth": "vl53l5cx",
    "video": "film", "gps": "gps", "gaze": "eyes", "audio": "microphone", "camera": "camera", "pose": "hand",
    "image": "pictures",
}  # fmt: skip
"""One sensor of each modality, the most that is read: frames of pixels rather than single numbers."""
TARGET_TWELVE_PERCENT = 60.0
START_UP_S = 2.0
"""Resets, calibration, the first turn of a scanner."""
LONG_START_UP_S = 5.0
"""The same for a VL53L5CX, whose driver sends its firmware first."""


def cpu_s() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def reads_per_second(seconds: float) -> float:
    """Register reads through the bus, on one core."""
    adapter = SimulatedAdapter({0x40: RegisterChip(ManualClock().monotonic_ns, {0: 1})})
    bus = I2CBus("bench", adapter.open)
    count, begun_s = 0, time.process_time()
    while (spent_s := time.process_time() - begun_s) < seconds:
        for _ in range(200):
            bus.write_read(0x40, b"\0", 14)
        count += 200
    return count / spent_s


def windows_per_second(seconds: float) -> float:
    """Windows of all slots of the shipped model, everything from chunks to the grid, on one core."""
    slots = manifests.read(DEFAULT_MODEL).slots
    windows = Windows(slots, {slot.name: slot.name for slot in slots})
    rng, count, at_ns = np.random.default_rng(1), 0, 0
    step_ns = 50_000_000
    ready = {
        s.name: rng.normal(0, 1, (round(s.rate_hz / 20), len(s.channels))).astype(np.float32) for s in slots
    }
    begun_s = time.process_time()
    while (spent_s := time.process_time() - begun_s) < seconds:
        for name, values in ready.items():
            times_ns = at_ns + np.arange(1, len(values) + 1) * step_ns // len(values)
            windows.push(Chunk(name, times_ns, values))
        at_ns += step_ns
        count += sum(1 for _ in windows.ready(at_ns))
    return count / spent_s


class Running:
    """Sensors in threads of their own, as the agent runs them."""

    def __init__(self, sensors: list[Sensor]) -> None:
        self.stages = [Acquisition(s, CLOCK, lambda _error: None) for s in sensors]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=s.run, args=(self._stop,), daemon=True) for s in self.stages]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def take(self) -> list[list[Chunk]]:
        """Everything that came since the last time, by sensor."""
        return [stage.chunks.take_all() for stage in self.stages]


def percent_of_a_core(
    sensors: list[Sensor], seconds: float, start_up_s: float = START_UP_S
) -> tuple[float, list[float]]:
    """(percent of all together, samples a second of each)."""
    with Running(sensors) as running:
        time.sleep(start_up_s)
        running.take()
        begun_s, used_s, counts = time.monotonic(), cpu_s(), [0] * len(sensors)
        while time.monotonic() - begun_s < seconds:
            time.sleep(0.25)
            for i, chunks in enumerate(running.take()):
                counts[i] += sum(len(chunk.times_ns) for chunk in chunks)
        passed_s = time.monotonic() - begun_s
        return 100 * (cpu_s() - used_s) / passed_s, [count / passed_s for count in counts]


def each_alone(seconds: float) -> None:
    """Print the samples and the cost of every sensor at its native rate."""
    for name, device in DEVICES.items():
        try:
            with device() as sensor:
                percent, (rate_hz,) = percent_of_a_core([sensor], seconds, LONG_START_UP_S)
        except NotHereError as error:
            print(f"  {name:<10} not measured: {error}", flush=True)
        else:
            print(f"  {name:<10} {rate_hz:7.1f} samples/s  {percent:5.1f} % of one core", flush=True)


def one_of_each(seconds: float) -> bool:
    """Print what a sensor of each modality cost together; False where that is too much."""
    with ExitStack() as stack:
        try:
            sensors = [stack.enter_context(DEVICES[name]()) for name in MODALITIES.values()]
        except NotHereError as error:
            print(f"  one sensor of each modality: not measured: {error}")
            return True
        percent, rates_hz = percent_of_a_core(sensors, seconds, LONG_START_UP_S)
    if silent := [name for name, hz in zip(MODALITIES, rates_hz, strict=True) if not hz]:
        raise RuntimeError(f"the measurement is void: nothing came of {', '.join(silent)}")
    return verdict("one of each modality, no inference", percent, TARGET_TWELVE_PERCENT, "% of one core")


def jitter_p99_ms(seconds: float) -> float:
    """Of a chip that is read 100 times a second: how far the spacing of two reads is from 10 ms."""
    with Running([chip("bno055")]) as running:
        time.sleep(START_UP_S)
        running.take()
        time.sleep(seconds)
        times_ns = np.concatenate([chunk.times_ns for chunk in running.take()[0]])
    return float(np.percentile(np.abs(np.diff(times_ns) * 1e-6 - 10.0), 99))


def beside_the_language_model(measure: Callable[[], float]) -> float:
    """`measure` while the language model decodes without a pause in a process of its own."""
    code = (
        "from benchmarks.fast_path import noise_window\n"
        "from benchmarks.timing import DEFAULT_MODEL as M\n"
        "from edge_agent.perception.pipeline import Pipeline\n"
        "from export.readers import open_language\n"
        "p = Pipeline(M); lm = open_language(M, p.manifest); c = p.perceive(noise_window(p)).conditioning\n"
        "print('ready', flush=True)\nwhile True: lm.generate(c, 'what is the person doing?')"
    )
    busy = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert busy.stdout
        if busy.stdout.readline().strip() != "ready":
            raise RuntimeError("the language model did not start")
        return measure()
    finally:
        busy.kill()
        busy.wait()


def main() -> int:
    """Print the figures; 1 where one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    print("sensors:")
    bridged = bridge.measure(10, 2.0)
    lines = f"{bridged['ratio']:.0f} lines of {bridge.LINE_BAUD:,} baud"
    print(f"  bridge frames, {lines:<34} {bridged['mb_per_s']:10.1f} MB/s")
    print(f"  I2C reads of 14 bytes through the simulated bus   {reads_per_second(2.0):10,.0f} /s")
    print(f"  windows of all slots of the model                 {windows_per_second(2.0):10,.0f} /s")
    each_alone(min(seconds, 5.0))
    alone = jitter_p99_ms(seconds)
    beside = beside_the_language_model(lambda: jitter_p99_ms(seconds))
    print(f"  sampling jitter p99 at 100 Hz: {alone:.2f} ms alone, {beside:.2f} ms beside the language model")
    percent, _ = percent_of_a_core([chip(name) for name in TWELVE], seconds)
    kept = verdict("twelve chips, no inference", percent, TARGET_TWELVE_PERCENT, "% of one core")
    return 0 if one_of_each(seconds) and kept else 1


if __name__ == "__main__":
    sys.exit(main())
