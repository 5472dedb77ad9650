"""Whether questions disturb the sensors: `python -m benchmarks.asking [--seconds 10] [--rounds 4]`.

A whole agent reads two simulated chips through the real bus class and records when each sample was taken. It
remembers three days in which a label changed every 2.6 seconds. It is left alone, then asked ten questions in
a row, half about the past and half about now, in turns.
What counts is the standard deviation of the time between samples while it is asked, beside the quiet one.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.broker import free_port
from benchmarks.daemon import BROKER_S, STOP_TIMEOUT_S, broker, configuration
from benchmarks.memory import STEP_S, fill
from benchmarks.timing import DEFAULT_MODEL, verdict
from edge_agent import manifest as manifests
from edge_agent.clock import NS_PER_S, ManualClock
from edge_agent.config import Mqtt
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.request import ask
from edge_agent.errors import DeliveryError
from edge_agent.memory.store import Store
from edge_agent.record.mcap_file import RecordingReader

TARGET_PERCENT = 5.0
"""By how much of a sensor's period its jitter may change."""
START_S = 120.0
PERIOD_MS = {"room": 250.0, "motion": 10.0}
SENSORS = """
[[sensor]]
kind = "i2c"
name = "room"
chip = "d6t"
bus = "simulated"
[[sensor]]
kind = "i2c"
name = "motion"
chip = "mpu6050"
bus = "simulated"
[[sensor]]
kind = "simulated"
name = "sound"
slot = "audio"
"""
QUESTIONS = (
    "What happened yesterday?", "What do you hear?", "How often did you hear a dog today?",
    "Is it raining?", "When did you last hear a dog?", "What is that sound?", "Was anything unusual today?",
    "Do you hear a dog?", "Was the microphone working today?", "What do you hear now?",
)  # fmt: skip
REMEMBERED = 100_000
Int64 = npt.NDArray[np.int64]


@contextlib.contextmanager
def recorded_agent(folder: Path, settings: str) -> Iterator[Path]:
    """The daemon with a recording beside it; the recording is whole afterwards."""
    file, recording = folder / "edge-agent.toml", folder / "asked.mcap"
    file.write_text(settings.replace("[node]\n", f'[node]\nstate_directory = "{folder}"\n'))
    command = [sys.executable, "-m", "edge_agent", "run", "-c", str(file), "--record", str(recording)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            yield recording
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def remember(path: Path, model: Path) -> None:
    """Three days of intervals that end now."""
    span_s = round(REMEMBERED * STEP_S)
    clock = ManualClock(NS_PER_S, time.time_ns() - (span_s + 1) * NS_PER_S)
    store = Store(path, clock)
    fill(store, clock, {task.name: task.labels for task in manifests.read(model).tasks}, REMEMBERED)
    store.close()


def sample_times(recording: Path) -> dict[str, Int64]:
    """sensor -> when each of its samples was taken, monotonic ns."""
    times: dict[str, list[Int64]] = {}
    with RecordingReader(recording.open("rb"), recording.name) as reader:
        for arrival in reader.arrivals():
            times.setdefault(arrival.chunk.sensor, []).append(arrival.chunk.times_ns)
    return {sensor: np.concatenate(parts) for sensor, parts in times.items()}


def jitter_ms(times_ns: Int64, start_ns: int, end_ns: int) -> float:
    """The standard deviation of the time between samples that were taken in start..end."""
    within = times_ns[(times_ns >= start_ns) & (times_ns < end_ns)]
    return float(np.std(np.diff(within))) / 1e6


def question_time_s(port: int, questions: tuple[str, ...]) -> tuple[float, list[str]]:
    """(seconds for all, who worded each answer)."""
    begun_s, sources = time.monotonic(), list[str]()
    waiting = list(questions)
    while waiting:
        reply = ask(
            Mqtt(host="127.0.0.1", port=port), "bench", waiting[0], identity=new_id(time.time_ns()),
            timeout_s=30.0, asker="bench",
        )  # fmt: skip
        if "error" in reply:  # asked faster than the agent allows: ask it again
            time.sleep(0.2)
            continue
        sources.append(str(reply["source"]))
        waiting.pop(0)
    return time.monotonic() - begun_s, sources


def await_agent(port: int) -> None:
    """Until a question is answered. Raises SystemExit where none ever is."""
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(DeliveryError):
            ask(Mqtt(host="127.0.0.1", port=port), "bench", "are you there?", identity=new_id(time.time_ns()),
                timeout_s=3.0)  # fmt: skip
            return
        time.sleep(0.5)
    raise SystemExit("the agent did not answer")


def main() -> int:
    """Print the jitter of each sensor; 1 where it changes by more than the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--seconds", type=float, default=10.0, help="of quiet before the questions")
    parser.add_argument("--rounds", type=int, default=4, help="of quiet and questions; the medians count")
    options = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as name, broker(port):
        folder = Path(name)
        remember(folder / "memory.sqlite", options.model)
        time.sleep(BROKER_S)
        with recorded_agent(folder, configuration(options.model, port, SENSORS)) as recording:
            await_agent(port)
            time.sleep(5.0)
            marks, took_s, sources = [time.monotonic_ns()], 0.0, list[str]()
            for _ in range(options.rounds):
                time.sleep(options.seconds)
                marks.append(time.monotonic_ns())
                spent_s, told_by = question_time_s(port, QUESTIONS)
                took_s, sources = took_s + spent_s, sources + told_by
                marks.append(time.monotonic_ns())
        times = sample_times(recording)
    told = ", ".join(f"{sources.count(source)} {source}" for source in sorted(set(sources)))
    print(f"{len(sources)} questions in {took_s:.1f} s ({told}), load {os.getloadavg()[0]:.1f}")
    kept = True
    for sensor, period_ms in PERIOD_MS.items():
        found = [jitter_ms(times[sensor], *span) for span in itertools.pairwise(marks)]
        quiet, asked = float(np.median(found[::2])), float(np.median(found[1::2]))
        rounds = (
            f"{min(found[::2]):.2f} to {max(found[::2]):.2f}"  # wide on a busy machine: then it tells little
        )
        print(f"  {sensor:<8} every {period_ms:g} ms: jitter {quiet:.2f} ms ({rounds}), asked {asked:.2f} ms")
        change = 100 * max(0.0, asked - quiet) / period_ms
        kept &= verdict(f"{sensor}: more jitter while asked", change, TARGET_PERCENT, "% of the period")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
