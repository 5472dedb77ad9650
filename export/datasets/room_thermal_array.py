"""Where and how somebody is, from a 4x4 thermal array on the wall of a bedroom and of a bathroom.

Pontes, Cunha, Pinho, Fuks 2017, "Human-Sensing: Low Resolution Thermal Array Sensor Data Classification of
Location-Based Postures" (DAPI 2017; the data are in the public domain). OMRON D6T-44L, a frame every 212 ms
with pauses of about 2 s in between.

`data.npz` holds all recordings end to end: `x_decidegc` (n,16), `ambient_decidegc` (n,), `pec_ok` (n,),
`dt_ms` (n,) since the frame before, `recording` (n,) an index into `recordings`. The original repository's
folder `Dataset` works as well, put where `data.npz` would be: files
`Data-{Room}-Day{d}/{Room}-Day{d}-{Volunteer}-{Posture}.csv`, one line of text, the names of the columns,
then lines `TPTAT, T1 .. T16, CheckPEC, milliseconds since the last, date`.

The 16 postures are merged into what can be said of a room: clothes and blankets make no posture of their own,
and the two empty rooms are one. A room is some degrees warmer or colder from day to day: take the pixels as
differences to the ambient (or to the image's median), without which a random forest loses 0.3 of macro-F1.

`PRESENCE` is a second Reader on the same windows: nobody or somebody, the set's other published task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.clock import NS_PER_S
from edge_agent.resampling import resample_to_grid
from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Int64,
    Samples,
    dataset_path,
)

INFO = DatasetInfo(
    name="room_thermal_array",
    modality="thermal",
    task="pose_estimation",
    rate_hz=4.0,
    window_s=2.0,
    channels=(*(f"px_{i:02}" for i in range(16)), "ambient"),
    units=("degC",) * 17,
    labels=(
        "nobody", "lying_on_bed", "sitting_on_bed", "standing", "sitting_on_floor", "lying_on_floor",
        "lying_in_shower", "standing_in_shower", "at_sink", "standing_at_toilet", "sitting_on_toilet",
    ),
    licence="public domain",
    credit="Pontes, Cunha, Pinho, Fuks 2017, Human-Sensing with a low resolution thermal array (DAPI 2017)",
    split="4 folds: other days of the bedroom, another volunteer in the bathroom (which has one day only)",
    reference="linear by day 0.61 to 0.78",
)  # fmt: skip
"""The channels are those of the sensor `d6t`."""
POSTURES: dict[str, str] = {
    "1": "lying_on_bed", "2": "sitting_on_bed", "3": "lying_on_bed", "4": "sitting_on_floor",
    "5": "standing", "6": "lying_on_floor", "7": "standing", "8": "nobody",
    "9": "lying_in_shower", "10": "standing_in_shower", "11": "at_sink", "12": "standing_at_toilet",
    "13": "standing_at_toilet", "14": "sitting_on_toilet", "15": "sitting_on_toilet", "16": "nobody",
    "Lying-Sheetthick-on-the-bed": "lying_on_bed", "Lying-Sheetthin-on-the-bed": "lying_on_bed",
    "Sleeping-on-the-bed-using-blanket": "lying_on_bed", "None-After-Sleeping": "nobody",
}  # fmt: skip
"""What stands in a recording's name for the posture -> label."""
WINDOW = round(INFO.rate_hz * INFO.window_s)
HOP_S = 0.5
MAX_WINDOWS = 120
"""Of a recording. Most last a minute; two hours of sleep must not be half of the set."""
FOLDS: tuple[tuple[str, ...], ...] = (
    ("bedroom day 2", "bathroom B"),
    ("bedroom day 5", "bathroom C"),
    ("bedroom day 1", "bedroom day 6", "bathroom D"),
    ("bedroom day 4", "bedroom day 7", "bathroom E"),
)
"""What is tested together. Days 1 and 4 are one volunteer's, who is in day 6 and 7 or in other folds too."""
ALWAYS_TRAINED = "bathroom None"
"""The only recording of an empty bathroom: it cannot be judged, only learnt."""
MAX_GAP_S = 1.0
MIN_COVERAGE = 0.8
"""As on the device: a window with one of the pauses of 2 s in its midst is left out."""
_NAME = re.compile(r"^(Bedroom|Bathroom)-Day(\d+)-([A-E]|None)-(.+)\.csv$")
_NS_PER_MS = 1_000_000
_DEGC_PER_BIT = np.float32(0.1)


@dataclass(frozen=True)
class _Recording:
    """Frames of one file: times (n,) ns, degC (n,17) with the ambient last; invalid frames are dropped."""

    name: str
    times_ns: Int64
    x: Float32


def load(root: Path | None = None) -> Samples:
    """Windows (N,8,17) of 2 s, degC: 16 pixels row by row and the sensor's own temperature.

    group: the day for the bedroom ("bedroom day 2"), the volunteer for the bathroom ("bathroom B"), because
    all of it is one day; recording: the file's name. Frames whose checksum was wrong are dropped before a
    window is put on the grid. Raises DatasetMissingError without the recordings, ValueError for a file of
    another name.
    """
    x, target, group, recording = [], [], [], []
    for taken in _recordings(dataset_path(INFO.name, root)):
        windows = _windows(taken)
        room, day, volunteer, posture = _described(taken.name)
        x.append(windows)
        target += [INFO.labels.index(posture)] * len(windows)
        group += [f"bedroom day {day}" if room == "Bedroom" else f"bathroom {volunteer}"] * len(windows)
        recording += [taken.name] * len(windows)
    return Samples(np.concatenate(x), np.array(target, np.int64), np.array(group), np.array(recording))


def folds(samples: Samples) -> list[Fold]:
    """Four folds as FOLDS says. A day that stands in none of them is in the test of all and never trained."""
    named = {group for part in FOLDS for group in part} | {ALWAYS_TRAINED}
    others = set(samples.group.tolist()) - named
    found = []
    for i, part in enumerate(FOLDS):
        tested = np.isin(samples.group, [*part, *others])
        nothing = np.zeros(0, np.int64)
        found.append(Fold(f"fold {i}", np.flatnonzero(~tested), np.flatnonzero(tested), nothing))
    return found


def shipped(samples: Samples) -> Fold:
    """Fold 1 is the test (day 5 has all volunteers and postures), fold 2 the validation."""
    _, test, validation, _ = folds(samples)
    only_validation = np.setdiff1d(validation.test, test.test)
    return Fold("shipped", np.setdiff1d(test.train, validation.test), test.test, only_validation)


class Presence:
    """Nobody or somebody."""

    INFO = replace(INFO, task="event_detection", labels=("nobody", "somebody"), reference="")

    def load(self, root: Path | None = None) -> Samples:
        samples = load(root)
        return replace(samples, target=(samples.target > 0).astype(np.int64))

    def folds(self, samples: Samples) -> list[Fold]:
        return folds(samples)

    def shipped(self, samples: Samples) -> Fold:
        return shipped(samples)


PRESENCE = Presence()


def _windows(taken: _Recording) -> Float32:
    """(N,8,17), at most MAX_WINDOWS of them evenly over the recording."""
    first_ns = int(taken.times_ns[0]) + round((WINDOW - 1) * NS_PER_S / INFO.rate_hz)
    ends = np.arange(first_ns, int(taken.times_ns[-1]) + 1, round(HOP_S * NS_PER_S))
    found = []
    for end_ns in ends.tolist():
        grid = resample_to_grid(taken.times_ns, taken.x, end_ns, INFO.rate_hz, WINDOW, MAX_GAP_S)
        if grid.coverage >= MIN_COVERAGE:
            found.append(grid.values)
    if len(found) > MAX_WINDOWS:
        found = [found[i] for i in np.linspace(0, len(found) - 1, MAX_WINDOWS).round().astype(int).tolist()]
    return np.array(found, np.float32).reshape(-1, WINDOW, len(INFO.channels))


def _described(name: str) -> tuple[str, str, str, str]:
    """File name -> room, day, volunteer, label."""
    matched = _NAME.match(name)
    if matched is None or matched[4] not in POSTURES:
        raise ValueError(f"{name} is not named <Room>-Day<d>-<Volunteer>-<Posture>.csv with a known posture")
    return matched[1], matched[2], matched[3], POSTURES[matched[4]]


def _recordings(folder: Path) -> Iterator[_Recording]:
    """Sorted by name."""
    if (folder / "data.npz").is_file():
        with np.load(folder / "data.npz", allow_pickle=False) as data:
            frames = np.concatenate([data["ambient_decidegc"][:, None], data["x_decidegc"]], axis=1)
            pec_ok, dt_ms, recording = data["pec_ok"], data["dt_ms"], data["recording"]
            names = [str(name).rpartition("/")[2] for name in data["recordings"]]
        for name, i in sorted(zip(names, range(len(names)), strict=True)):
            where = recording == i
            yield _recording(name, frames[where], pec_ok[where], dt_ms[where])
        return
    files = sorted(folder.glob("**/Data-*/*.csv"), key=lambda path: path.name)
    if not files:
        raise DatasetMissingError(folder / "data.npz")
    for path in files:
        table = np.loadtxt(path, np.int64, delimiter=",", skiprows=2, usecols=range(19), ndmin=2)
        yield _recording(path.name, table[:, :17], table[:, 17], table[:, 18])


def _recording(
    name: str,
    frames: npt.NDArray[np.integer],
    pec_ok: npt.NDArray[np.integer],
    dt_ms: npt.NDArray[np.integer],
) -> _Recording:
    """From frames (n,17) in 0.1 degC with the ambient first."""
    times_ns = np.cumsum(dt_ms.astype(np.int64)) * _NS_PER_MS
    good = pec_ok == 1
    x = np.roll(frames[good], -1, axis=1).astype(np.float32) * _DEGC_PER_BIT
    return _Recording(name, times_ns[good], x)
