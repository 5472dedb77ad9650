"""What sensing costs: `python -m benchmarks.sensors [--seconds 10]`. Only the last part loads a model.

I2C reads go through the real bus class to simulated chips, so they are the price of our side: on real
hardware the wire adds its own (at 400 kHz about 23 us a byte).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Self

import numpy as np

from benchmarks.timing import verdict
from edge_agent import manifest as manifests
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.config_sensors import I2cSensor
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.build import I2cBuilder
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter
from edge_agent.stages import Acquisition
from edge_agent.types import Chunk, Sensor
from edge_agent.windows import Windows

TWELVE = (
    "mpu6050", "icm20948", "lsm6dsox", "bno055", "amg8833", "d6t", "vl53l0x", "mpr121", "bme280", "sht31",
    "bh1750", "scd41",
)  # fmt: skip
TARGET_TWELVE_PERCENT = 60.0


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
    """Windows of the shipped model's three slots, everything from chunks to the grid, on one core."""
    from benchmarks.timing import DEFAULT_MODEL

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

    def __init__(self, names: tuple[str, ...]) -> None:
        self.sensors: list[Sensor] = [  # a bus for each: some share an address
            I2cBuilder(SystemClock()).make(I2cSensor(kind="i2c", name=n, chip=n, bus="simulated"), None)
            for n in names
        ]
        self.stages = [Acquisition(s, SystemClock(), lambda _error: None) for s in self.sensors]
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


def percent_of_a_core(names: tuple[str, ...], seconds: float) -> tuple[float, list[float]]:
    """(percent, samples a second of each), driver and simulated chip together."""
    with Running(names) as running:
        time.sleep(2.0)  # start-up: resets, calibration
        running.take()
        begun_s, used_s = time.monotonic(), cpu_s()
        counts = np.zeros(len(names))
        while time.monotonic() - begun_s < seconds:
            time.sleep(0.25)
            counts += [sum(len(c.times_ns) for c in chunks) for chunks in running.take()]
        passed_s = time.monotonic() - begun_s
        return 100 * (cpu_s() - used_s) / passed_s, list(counts / passed_s)


def jitter_p99_ms(seconds: float) -> float:
    """Of a chip that is read 100 times a second: how far the spacing of two reads is from 10 ms."""
    with Running(("bno055",)) as running:
        time.sleep(2.0)
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
    print(f"  I2C reads of 14 bytes through the simulated bus   {reads_per_second(2.0):10,.0f} /s")
    print(f"  windows of three slots                            {windows_per_second(2.0):10,.0f} /s")
    for name in chips.NAMES:
        percent, (rate_hz,) = percent_of_a_core((name,), min(seconds, 5.0))
        print(f"  {name:<10} {rate_hz:7.1f} samples/s  {percent:5.1f} % of one core", flush=True)
    alone = jitter_p99_ms(seconds)
    beside = beside_the_language_model(lambda: jitter_p99_ms(seconds))
    print(f"  sampling jitter p99 at 100 Hz: {alone:.2f} ms alone, {beside:.2f} ms beside the language model")
    percent, _ = percent_of_a_core(TWELVE, seconds)
    return (
        0 if verdict("twelve sensors, no inference", percent, TARGET_TWELVE_PERCENT, "% of one core") else 1
    )


if __name__ == "__main__":
    sys.exit(main())
