"""Unplugs every kind of sensor at once, again and again, and says what the process then holds.

python storm_process.py FOLDER MODEL TIMES KIND ...

One JSON object a line: every tenth time what is held, and at the end the counters of each sensor. A process
of its own, so that nothing but this is counted.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conftest import wait_for
from hot_plug_devices import KINDS, Device

from edge_agent import config
from edge_agent import manifest as manifests
from edge_agent.assembly import healths_of, make_sensors
from edge_agent.clock import SystemClock
from edge_agent.sensors.microphone import MicrophoneSensor
from edge_agent.stages import Acquisition
from edge_agent.threads import begin, join
from edge_agent.types import SensorHealth, SensorState

EVERY = 10
PATIENCE_S = 60.0
LOOKS = 20
"""A film or a picture is opened now and then: the fewest of so many looks are those that stay."""
SILENCE_S = 1.0
"""Of the microphone, which else waits for two seconds, a hundred times."""


class Plugged:
    """A device and the sensor that reads it, in a thread as an agent's."""

    def __init__(self, device: Device, model: Path) -> None:
        self.device = device
        self.had = 0
        settings = config.loads(f"[model]\npath = '{model}'\n[[sensor]]\n{device.table}", Path())
        (sensor,) = (device.make or make_sensors)(settings, manifests.read(model), SystemClock())
        if isinstance(sensor, MicrophoneSensor):
            sensor = MicrophoneSensor(
                sensor.name, "", SystemClock(), device="pulse", silence_limit_s=SILENCE_S
            )
        self.slowest_s = 0.0
        self.health: SensorHealth = healths_of(sensor)[device.name]
        self.source = Acquisition(sensor, SystemClock(), _give_up)

    def gone(self) -> bool:
        self.source.chunks.take_all()
        return self.health.state is not SensorState.ONLINE

    def back(self) -> bool:
        """Also takes what came, so that nothing heaps up."""
        self.source.chunks.take_all()
        return self.health.state is SensorState.ONLINE and self.health.samples > self.had


def _give_up(error: Exception) -> None:
    raise error


@contextmanager
def plugged(folder: Path, model: Path, kinds: list[str]) -> Iterator[list[Plugged]]:
    """All of them, read."""
    with ExitStack() as stack:
        found = []
        for kind in kinds:
            own = folder / kind.replace(" ", "-")
            own.mkdir()
            device = stack.enter_context(contextmanager(KINDS[kind])(own, None))  # type: ignore[arg-type]
            os.environ.update(device.environment)
            found.append(Plugged(device, model))
        workers = [begin(each.source.name, each.source.run) for each in found]
        try:
            yield found
        finally:
            for worker in workers:
                worker.stop.set()
            assert join(workers, PATIENCE_S) == []


def fewest(folder: str) -> int:
    """Entries of a folder of /proc/self, where threads of C libraries count as well."""
    never, counts = threading.Event(), []
    for _ in range(LOOKS):
        counts.append(len(list(Path("/proc/self", folder).iterdir())))
        never.wait(0.02)
    return min(counts)


def held(times: int, found: list[Plugged]) -> dict[str, int]:
    """`our_bytes` is what was allocated in our own lines: a chunk, a buffer, a session."""
    threads, files = fewest("task"), fewest("fd")
    for each in found:
        each.source.chunks.take_all()
    gc.collect()
    ours = [tracemalloc.Filter(True, f"*/{package}/*") for package in ("edge_agent", "firmware_bridge")]
    sizes = tracemalloc.take_snapshot().filter_traces(ours).statistics("lineno")
    return {
        "times": times,
        "threads": threads,
        "descriptors": files,
        "our_bytes": sum(each.size for each in sizes),
        "own_bytes": own_bytes(),
    }


def own_bytes() -> int:
    """Resident memory that is no file's: the kernel takes pages of mapped files away and brings them back."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(kib) * 1024


def once(found: list[Plugged]) -> None:
    """Everything is unplugged, and plugged in again when each sensor has said that it is gone."""
    for each in found:
        each.device.unplug()
    for each in found:
        wait_for(each.gone, PATIENCE_S, f"{each.device.name} to be gone")
    for each in found:
        each.had = each.health.samples
        each.device.plug()
    begun_s = time.monotonic()
    for each in found:
        wait_for(each.back, PATIENCE_S, f"{each.device.name} to be back: {each.health}")
        each.slowest_s = max(each.slowest_s, time.monotonic() - begun_s)


def main() -> None:
    folder, model, times, *kinds = sys.argv[1:]
    tracemalloc.start()
    with plugged(Path(folder), Path(model), kinds) as found:
        for each in found:
            wait_for(each.back, PATIENCE_S, f"{each.device.name}: {each.health}")
        for i in range(int(times) + 1):
            if i % EVERY == 0:
                print(json.dumps(held(i, found)), flush=True)
            if i < int(times):
                once(found)
        for kind, each in zip(kinds, found, strict=True):
            each.had = each.health.samples  # on a busy machine one may just be lost again
            wait_for(each.back, PATIENCE_S, f"{each.device.name}: {each.health}")
            counted = {"kind": kind, "state": each.health.state, "reconnects": each.health.reconnects}
            print(json.dumps({**counted, "slowest_s": each.slowest_s}), flush=True)


if __name__ == "__main__":
    main()
