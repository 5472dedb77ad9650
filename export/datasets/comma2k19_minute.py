"""A minute of driving: GPS, IMU, the car's speed, the reference pose (comma2k19, MIT). For demo and replay.

No Reader: one minute teaches nothing. Read is `data.npz`, whose names are the publisher's paths with `__` for
`/`, else a segment as it is published: `processed_log/...` and `global_pose/...`, numpy files without suffix.
Times are seconds of the device's clock since it was switched on, one clock for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.datasets.common import DatasetMissingError, dataset_path

NAME = "comma2k19_minute"
LICENCE = "MIT"
CREDIT = "Schafer, Santana, Haden, Biasini 2018, A Commute in Data: The comma2k19 Dataset (arXiv 1812.05752)"
GPS_COLUMNS = ("latitude_deg", "longitude_deg", "speed_m_s", "utc_ms", "altitude_m", "bearing_deg")
IMU_COLUMNS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
"""x forward, y right, z down; m/s2 with gravity (at rest z is -9.8) and rad/s."""
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drive:
    """Every stream on its own times in seconds, increasing.

    gps (n,6) see GPS_COLUMNS; imu (m,6) see IMU_COLUMNS; speed_m_s (k,) of the wheels; steering_deg (s,);
    position_m (f,3) and velocity_m_s (f,3) of the camera in the earth-centred frame, orientation (f,4) the
    quaternion (w first) that turns that frame into forward, right, down.
    """

    gps_time_s: Float64
    gps: Float64
    imu_time_s: Float64
    imu: Float64
    speed_time_s: Float64
    speed_m_s: Float64
    steering_time_s: Float64
    steering_deg: Float64
    pose_time_s: Float64
    position_m: Float64
    velocity_m_s: Float64
    orientation: Float64


def load(root: Path | None = None) -> Drive:
    """The whole minute. Raises DatasetMissingError; ValueError when streams do not fit together."""
    folder = dataset_path(NAME, root)
    gps_time_s, gps = _stream(folder, "GNSS/live_gnss_ublox")
    acc_time_s, acc = _stream(folder, "IMU/accelerometer")
    gyro_time_s, gyro = _stream(folder, "IMU/gyro")
    if not np.array_equal(acc_time_s, gyro_time_s):
        raise ValueError("the accelerometer and the gyroscope were not read at the same times")
    speed_time_s, speed = _stream(folder, "CAN/speed")
    steering_time_s, steering = _stream(folder, "CAN/steering_angle")
    pose = {name: _array(folder, f"global_pose/frame_{name}") for name in POSE}
    return Drive(
        gps_time_s, gps, acc_time_s, np.hstack([acc, gyro]), speed_time_s, speed.reshape(-1),
        steering_time_s, steering.reshape(-1), pose["times"], pose["positions"], pose["velocities"],
        pose["orientations"],
    )  # fmt: skip


POSE = ("times", "positions", "velocities", "orientations")


def _stream(folder: Path, name: str) -> tuple[Float64, Float64]:
    """Times and values of one log. ValueError when times go back or there are not as many as values."""
    time_s, value = (_array(folder, f"processed_log/{name}/{part}") for part in ("t", "value"))
    if len(time_s) != len(value) or not (np.diff(time_s) > 0).all():
        raise ValueError(f"{name}: {len(value)} values do not fit {len(time_s)} increasing times")
    return time_s, value


def _array(folder: Path, path: str) -> Float64:
    packed = folder / "data.npz"
    if packed.exists():
        with np.load(packed, allow_pickle=False) as data:
            return data[path.replace("/", "__")].astype(np.float64)
    if not (folder / path).exists():
        raise DatasetMissingError(folder / path)
    with (folder / path).open("rb") as file:
        return np.asarray(np.load(file, allow_pickle=False), np.float64)
