"""Few shots: what the shipped encoders' features are worth for classes that they were not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from edge_agent.perception.nearest_mean import NearestMean
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import SlotWindow, Window
from export.catalog import SLOTS
from export.curve_rows import Row, Settings
from export.datasets import capacitive_touch, room_thermal_array, spoken_digits, wrist_adl_accelerometer
from export.datasets.common import DatasetMissingError, Float32, Int64, Reader
from export.scores import macro_f1

POOL, TESTED = 40, 30
"""Windows of a class from which shots are drawn, and on which they are judged."""


@dataclass(frozen=True)
class Transfer:
    """A task for a slot's encoder; `fit` makes the slot's window (T,C), and what is missing, of the set's."""

    name: str
    slot: str
    reader: Reader
    fit: Callable[[Float32], tuple[Float32, npt.NDArray[np.bool_]]]


def whole(x: Float32) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """A window as the slot has it."""
    return x, np.zeros(x.shape[1], np.bool_)


def word(x: Float32) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """A second of speech at the end of the microphone's window, silence before it."""
    steps = SLOTS["audio"].shape[0]
    return np.pad(x, ((steps - len(x), 0), (0, 0))), np.zeros(1, np.bool_)


def wrist(x: Float32) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """The last second of 3 axes at 32 Hz as the watch gives it at 100 Hz, its gyroscope missing."""
    steps, channels = SLOTS["imu_watch"].shape
    rate_hz = wrist_adl_accelerometer.INFO.rate_hz
    at_s = (np.arange(steps) - steps + 1) / SLOTS["imu_watch"].rate_hz
    given_s = (np.arange(len(x)) - len(x) + 1) / rate_hz
    found = np.zeros((steps, channels), np.float32)
    found[:, :3] = np.stack([np.interp(at_s, given_s, axis) for axis in x.T], axis=1)
    return found, np.arange(channels) >= 3


TRANSFERS = (
    Transfer("spoken digits, another speaker", "audio", spoken_digits.BY_SPEAKER, word),
    Transfer("everyday activities at the wrist", "imu_watch", wrist_adl_accelerometer, wrist),
    Transfer("somebody or nobody in the room", "thermal", room_thermal_array.PRESENCE, whole),
    Transfer("left or right thumb", "capacitance", capacitive_touch, whole),
)


def few_shot(
    train: dict[str, Float32], test: dict[str, Float32], shots: int, rng: np.random.Generator
) -> float:
    """Macro-F1 on `test` of the nearest class mean of `shots` features (n,d) of each class of `train`."""
    drawn = {k: z[rng.choice(len(z), min(shots, len(z)), replace=False)] for k, z in train.items()}
    fitted = NearestMean.fit(drawn)
    said = fitted.distances(np.concatenate(list(test.values()))).argmin(-1)
    truth = np.repeat([fitted.labels.index(k) for k in test], [len(z) for z in test.values()])
    return macro_f1(truth, said, len(fitted.labels))


def measure(pipeline: Pipeline, data: Path, settings: Settings) -> list[Row]:
    """Rows of every set that is on this machine and whose slot the model has."""
    rows = []
    slots = {s.name for s in pipeline.manifest.slots}
    for transfer in tqdm([t for t in TRANSFERS if t.slot in slots], desc="shots"):
        try:
            rows += of_transfer(pipeline, transfer, data, settings)
        except DatasetMissingError as error:
            print(f"{transfer.name}: not measured, {error}")
    return rows


def of_transfer(pipeline: Pipeline, transfer: Transfer, data: Path, settings: Settings) -> list[Row]:
    """Mean and deviation over the draws, for each number of shots."""
    samples = transfer.reader.load(data)
    fold, rng = transfer.reader.shipped(samples), np.random.default_rng(settings.seed)
    info = transfer.reader.INFO
    assert isinstance(samples.target, np.ndarray)
    parts = []
    for rows, most in ((fold.train, POOL), (fold.test, TESTED)):
        picked = by_class(samples.target.astype(np.int64), rows, most, rng)
        parts.append({info.labels[k]: features(pipeline, transfer, samples.x[r]) for k, r in picked.items()})
    train, test = parts
    train = {k: z for k, z in train.items() if len(z) >= 2 and k in test}
    test = {k: z for k, z in test.items() if k in train}
    count, found = sum(map(len, test.values())), []
    for shots in settings.shots:
        scores = [few_shot(train, test, shots, rng) for _ in range(settings.draws)]
        figures = {"macro_f1": np.mean(scores), "sd over draws": np.std(scores)}
        name = f"{transfer.name} ({transfer.slot}, {len(train)} classes)"
        found += [Row(name, info.kind, f"{shots} shots", f, float(v), count) for f, v in figures.items()]
    return found


def by_class(target: Int64, rows: Int64, most: int, rng: np.random.Generator) -> dict[int, Int64]:
    """class -> at most so many of its rows, drawn at random."""
    found = {}
    for k in np.unique(target[rows]).tolist():
        own = rows[target[rows] == k]
        found[k] = rng.choice(own, min(most, len(own)), replace=False)
    return found


def features(pipeline: Pipeline, transfer: Transfer, x: Float32) -> Float32:
    """Pooled features (N,d) of the set's windows x (N,T,C)."""
    steps = SLOTS[transfer.slot].shape[0]
    found = []
    for window in x:
        values, missing = transfer.fit(
            np.repeat(window, steps, axis=0) if len(window) == 1 < steps else window
        )
        slot = SlotWindow(values, coverage=1.0, age_s=0.0, missing_channels=missing)
        found.append(pipeline.encode(Window(0, 0, {transfer.slot: slot}))[transfer.slot].pooled)
    return np.stack(found)
