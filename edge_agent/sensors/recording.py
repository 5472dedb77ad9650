"""Recorded files as samples with times: sound, and tables in CSV, such as those of a phone and a watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from edge_agent.clock import NS_PER_S
from edge_agent.errors import ConfigurationError
from edge_agent.sensors.channels import listed
from edge_agent.types import Float32, Int64

IMU_COLUMNS = ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
"""m/s2 and rad/s, in the order of the model's channels."""
_SPELT_IN_FILES = {f"{part}_{axis}": f"{axis}_{part}" for part in ("acc", "gyro") for axis in "xyz"}
SOUND_SUFFIXES = frozenset({".wav", ".ogg", ".flac"})
SOUND_RATE_HZ = 16_000.0


@dataclass(frozen=True, slots=True)
class Recording:
    """`times_ns` (n,) from 0, not decreasing; `values` (n, channels); `labels` (n,) lower case, "" unknown.

    `rate_hz` is exact for sound and the mean rate otherwise. The labels are the truth that the recording's
    makers wrote down: for display beside what is perceived, never given to the model.
    """

    times_ns: Int64
    values: Float32
    rate_hz: float
    labels: npt.NDArray[np.str_]

    @property
    def duration_ns(self) -> int:
        """From the first sample to where a sample after the last one would be."""
        return int(self.times_ns[-1]) + round(NS_PER_S / self.rate_hz)

    def label_at(self, offset_ns: int) -> str:
        """The label of the last sample at or before this time; "" before the first."""
        i = int(np.searchsorted(self.times_ns, offset_ns, side="right")) - 1
        return str(self.labels[i]) if i >= 0 else ""


def read_recording(path: Path, sound_rate_hz: float = SOUND_RATE_HZ) -> Recording:
    """Read a recording; sound becomes one channel at `sound_rate_hz`, low-pass filtered where it is slower.

    Raises ConfigurationError when the file is missing, of an unknown kind, or not what its name says.
    """
    if not path.is_file():
        raise ConfigurationError(f"no recording at {path}", hint="check `files` of the replay sensor")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_table(path, IMU_COLUMNS)
    if suffix in SOUND_SUFFIXES:
        return _read_sound(path, sound_rate_hz)
    raise ConfigurationError(
        f"cannot read {path.name}: recordings are .csv, {', '.join(sorted(SOUND_SUFFIXES))}",
        hint="convert the file, or leave it out of `files`",
    )


def read_channels(path: Path, names: Sequence[str]) -> Recording:
    """Read a CSV table with a column for each of `names`, in their units, and one `timestamp` (ms).

    An empty field is NaN: nothing was measured. Those of an IMU may be called as in IMU_COLUMNS. Raises
    ConfigurationError when the file is missing, or not such a table.
    """
    if not path.is_file():
        raise ConfigurationError(f"no recording at {path}", key="recording")
    return _read_table(path, names)


def _read_table(path: Path, names: Sequence[str]) -> Recording:
    """Columns `names`, `timestamp` (ms) and perhaps `label`, in any order (Matey-Sanz et al. 2022)."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = [name.strip() for name in lines[0].split(",")] if lines else []
    wanted = [name if name in header else _SPELT_IN_FILES.get(name, name) for name in names]
    if missing := [name for name in (*wanted, "timestamp") if name not in header]:
        raise ConfigurationError(
            f"{path.name} lacks the column(s) {listed(missing)}",
            hint="a .csv whose first line names its columns: one for each channel, and timestamp in ms",
        )
    rows = [line.split(",") for line in lines[1:] if line.strip()]
    if len(rows) < 2:
        raise ConfigurationError(f"{path.name} holds fewer than two samples")
    columns = [header.index(name) for name in wanted]
    when = header.index("timestamp")
    labelled = header.index("label") if "label" in header else None
    try:
        labels = ["" if labelled is None else row[labelled].strip().lower() for row in rows]
        values = np.array([[float(row[c].strip() or "nan") for c in columns] for row in rows], np.float32)
        times_ms = np.array([float(row[when]) for row in rows])
    except (ValueError, IndexError) as error:
        raise ConfigurationError(f"{path.name} holds something that is no number: {error}") from error
    if not (np.diff(times_ms) >= 0).all() or not 0 < times_ms[-1] - times_ms[0] < np.inf:
        raise ConfigurationError(f"the timestamps of {path.name} do not go forward")
    # The first time is taken off before the scale: nanoseconds since 1970 do not fit into a float64.
    times_ns = np.round((times_ms - times_ms[0]) * 1e6).astype(np.int64)
    rate_hz = (len(times_ns) - 1) * NS_PER_S / float(times_ns[-1])
    return Recording(times_ns, values, rate_hz, np.array(labels))


def _read_sound(path: Path, rate_hz: float) -> Recording:
    """All channels averaged to one, in -1..1."""
    try:
        # Needed for sound alone, and comes with the extra "demo": a device that plays none does without.
        import soundfile  # noqa: PLC0415
    except (ImportError, OSError) as error:  # OSError: the package without its C library
        raise ConfigurationError(
            f"cannot play {path.name}: the package soundfile is missing", hint="pip install iotlm-edge[demo]"
        ) from error
    try:
        samples, source_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ConfigurationError(f"{path.name} is no sound file: {error}") from error
    mono = soxr.resample(samples.mean(axis=1), source_hz, rate_hz).astype(np.float32, copy=False)
    if len(mono) == 0:
        raise ConfigurationError(f"{path.name} holds no sound")
    times_ns = np.round(np.arange(len(mono)) * (NS_PER_S / rate_hz)).astype(np.int64)
    return Recording(times_ns, mono[:, None], rate_hz, np.full(len(mono), ""))
