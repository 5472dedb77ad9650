"""Made-up signals for a machine without sensors or recordings. Everything here is labelled *simulated*.

The IMU is a rigid body: gravity turned by the posture, the gait as harmonics of the step, and angular
rates that are consistent with the turning of gravity. The sizes follow what phones in a pocket and
watches on a wrist show; they are plausible, not measured, and never part of a real score.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from edge_agent.errors import ConfigurationError
from edge_agent.sensors.simulated_firmware import IMU_CHANNELS, IMU_UNITS, SimulatedStream
from edge_agent.sensors.simulated_mcu import SimulatedMcu
from edge_agent.sensors.units import STANDARD_GRAVITY
from edge_agent.types import Chunk, Float32, Int64, SensorHealth, SensorState

__all__ = [
    "ACTIVITIES",
    "AUDIO_RATE_HZ",
    "IMU_CHANNELS",
    "IMU_RATE_HZ",
    "IMU_UNITS",
    "SOUNDS",
    "SimulatedMcu",
    "SimulatedSensor",
    "SimulatedStream",
    "simulated_audio",
    "simulated_imu",
]

IMU_RATE_HZ = 100.0
AUDIO_RATE_HZ = 16_000.0
ACTIVITIES = ("seated", "standing_up", "walking", "turning", "sitting_down")
"""In the order in which a person does them."""
_TRANSITION_S = 2.2
_FASTEST_TILT_RAD_S = 5.0
_CHUNK_S = 0.1

_Float64 = npt.NDArray[np.float64]
_UP = {"pocket": (-1.2, 9.2, -0.6), "wrist": (-9.3, -2.9, -0.4)}
"""Where "up" is in the sensor's frame while standing; and while seated:"""
_UP_SEATED = {"pocket": (-4.6, -0.3, -8.6), "wrist": (-3.0, -2.7, 8.9)}
_STEP_ACC = {"pocket": (1.8, 2.6, 2.4), "wrist": (2.0, 1.5, 1.3)}
_STEP_GYRO = {"pocket": (1.1, 1.0, 0.7), "wrist": (1.5, 0.8, 1.5)}
"""Standard deviation of the gait for each axis, m/s2 and rad/s."""


def simulated_imu(
    activity: str, seconds: float, rng: np.random.Generator, placement: str = "pocket"
) -> tuple[Int64, Float32]:
    """Return (t_us (n,), values (n, 6) in m/s2 and rad/s) at about 100 Hz, with the jitter of a real one.

    `placement` is "pocket" or "wrist". Sitting down and standing up last about two seconds; a longer
    signal holds one after the other. Raises ValueError for an unknown activity or placement.
    """
    if activity not in ACTIVITIES or placement not in _UP:
        raise ValueError(f'no simulated "{activity}" on "{placement}"; there are {ACTIVITIES} on {list(_UP)}')
    n = max(2, round(seconds * IMU_RATE_HZ))
    t_s = np.arange(n) / IMU_RATE_HZ
    up, moving, yaw_rad_s = _posture(activity, t_s, rng, placement)
    gait = moving[:, None] * _gait(t_s, rng, placement)
    tilting = np.cross(np.gradient(up, 1 / IMU_RATE_HZ, axis=0), up)
    tilting[np.abs(tilting).max(axis=1) > _FASTEST_TILT_RAD_S] = 0  # the cut between two transitions
    turning = tilting + yaw_rad_s[:, None] * up
    acc = STANDARD_GRAVITY * up + gait[:, :3] + rng.normal(0, 0.06, (n, 3))
    gyro = turning + gait[:, 3:] + rng.normal(0, 0.015, (n, 3))
    jitter_us = rng.uniform(-800, 800, n)
    return np.rint(t_s * 1e6 + 1000 + jitter_us).astype(np.int64), np.hstack([acc, gyro]).astype(np.float32)


def _posture(
    activity: str, t_s: _Float64, rng: np.random.Generator, placement: str
) -> tuple[_Float64, _Float64, _Float64]:
    """Up in the sensor's frame (n, 3), how much gait there is (n,), and the turn about up (n,) rad/s."""
    tilt = rng.normal(0, 0.15, 3)
    standing = _unit(np.array(_UP[placement]) / STANDARD_GRAVITY + tilt)
    seated = _unit(np.array(_UP_SEATED[placement]) / STANDARD_GRAVITY + tilt)
    ones, sway = (
        np.ones_like(t_s),
        0.01 * np.sin(2 * np.pi * rng.uniform(0.15, 0.4) * t_s + rng.uniform(0, 6)),
    )
    yaw_rad_s = np.zeros_like(t_s)
    if activity == "seated":
        up, moving = seated + sway[:, None] * standing, 0.02 * ones
    elif activity in ("walking", "turning"):
        up, moving = np.tile(standing, (len(t_s), 1)) + sway[:, None], rng.uniform(0.85, 1.15) * ones
        if activity == "turning":
            yaw_rad_s = (
                rng.choice([-1, 1]) * rng.uniform(1.5, 2.6) * (1 + 0.2 * np.sin(2 * np.pi * 0.9 * t_s))
            )
            moving *= 0.8
    else:
        part = np.mod(t_s, _TRANSITION_S) / _TRANSITION_S
        done = 0.5 - 0.5 * np.cos(np.pi * part)
        share = done if activity == "sitting_down" else 1 - done
        up = standing + share[:, None] * (seated - standing)
        moving = 0.1 + 0.35 * np.sin(np.pi * part)  # the push, and the landing
    return _unit(up), moving, yaw_rad_s


def _gait(t_s: _Float64, rng: np.random.Generator, placement: str) -> _Float64:
    """(n, 6): harmonics of the stride, the second (the step) strongest in acceleration."""
    stride_hz = rng.uniform(0.8, 1.05)
    spread = np.array([*_STEP_ACC[placement], *_STEP_GYRO[placement]])
    weights = {1: (0.6, 1.0), 2: (1.0, 0.6), 3: (0.4, 0.35), 4: (0.4, 0.2), 6: (0.15, 0.1)}
    total = np.zeros((len(t_s), 6))
    for harmonic, (acc, gyro) in weights.items():
        size = np.repeat([acc, gyro], 3) * rng.uniform(0.7, 1.3, 6)
        total += size * np.sin(2 * np.pi * harmonic * stride_hz * t_s[:, None] + rng.uniform(0, 2 * np.pi, 6))
    scaled: _Float64 = total * spread
    return scaled


def _unit(vectors: _Float64) -> _Float64:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float64)


def simulated_audio(event: str, seconds: float, rng: np.random.Generator) -> Float32:
    """Return (n, 1) sound at 16 kHz within -1..1. Raises ValueError for an event that is not in SOUNDS."""
    if event not in SOUNDS:
        raise ValueError(f'no simulated sound "{event}"; there are {", ".join(SOUNDS)}')
    n = round(seconds * AUDIO_RATE_HZ)
    sound = SOUNDS[event](np.arange(n) / AUDIO_RATE_HZ, rng) + rng.normal(0, 1e-4, n)
    return np.clip(sound, -1, 1).astype(np.float32)[:, None]


def _coloured(n: int, rng: np.random.Generator, exponent: float, low_hz: float, high_hz: float) -> _Float64:
    """Noise of unit variance with a spectrum that falls as f**-exponent between two frequencies."""
    frequencies_hz = np.fft.rfftfreq(n, 1 / AUDIO_RATE_HZ)
    shape = np.where(
        (frequencies_hz >= low_hz) & (frequencies_hz <= high_hz),
        np.maximum(frequencies_hz, 1.0) ** -exponent,
        0,
    )
    sound = np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * shape, n)
    return np.asarray(sound / (sound.std() + 1e-12), np.float64)


def _clock_tick(t_s: _Float64, rng: np.random.Generator) -> _Float64:
    """Short damped rings, twice a second."""
    since_s = np.mod(t_s + rng.uniform(0, 0.5), 0.5)
    pitch_hz = rng.uniform(2500, 4500)
    return rng.uniform(0.3, 0.6) * np.exp(-since_s / 0.006) * np.sin(2 * np.pi * pitch_hz * since_s)


def _rain(t_s: _Float64, rng: np.random.Generator) -> _Float64:
    """A dense hiss, and single drops."""
    drops = (rng.random(len(t_s)) < 60 / AUDIO_RATE_HZ) * rng.uniform(0.1, 0.5, len(t_s))
    return 0.07 * _coloured(len(t_s), rng, 0.3, 400, 8000) + drops


def _sea_waves(t_s: _Float64, rng: np.random.Generator) -> _Float64:
    """Noise that swells and breaks, slowly."""
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * t_s * rng.uniform(0.12, 0.25) + rng.uniform(0, 6))
    return 0.15 * (0.15 + swell**2) * _coloured(len(t_s), rng, 0.6, 60, 6000)


def _helicopter(t_s: _Float64, rng: np.random.Generator) -> _Float64:
    """Low noise, chopped by the blades."""
    beat = np.sin(np.pi * rng.uniform(11, 17) * t_s) ** 8
    return 0.2 * (0.2 + beat) * _coloured(len(t_s), rng, 0.9, 30, 2500)


def _fire(t_s: _Float64, rng: np.random.Generator) -> _Float64:
    """A low rumble and irregular cracks."""
    cracks = (rng.random(len(t_s)) < 12 / AUDIO_RATE_HZ) * rng.normal(0, 0.6, len(t_s))
    ring = np.exp(-np.arange(80) / 15) * rng.normal(size=80)
    return np.convolve(cracks, ring)[: len(t_s)] * 0.5 + 0.02 * _coloured(len(t_s), rng, 1.0, 40, 1500)


def _silence(t_s: _Float64, rng: np.random.Generator) -> _Float64:
    """A quiet room."""
    return 3e-4 * _coloured(len(t_s), rng, 0.5, 50, 4000)


SOUNDS: dict[str, Callable[[_Float64, np.random.Generator], _Float64]] = {
    "clock_tick": _clock_tick,
    "rain": _rain,
    "sea_waves": _sea_waves,
    "helicopter": _helicopter,
    "fire_crackling": _fire,
    "silence": _silence,
}
"""The events that can be simulated: those whose physics fits in a line."""


class SimulatedSensor:
    """A sensor without any device: one label, or each in turn for `period_s`, in real time.

    `placement` is the slot's in the manifest: of an IMU it must say "pocket" or "wrist".
    """

    def __init__(
        self,
        name: str,
        slot: str,
        *,
        modality: str,
        placement: str = "pocket",
        label: str | None = None,
        period_s: float = 6.0,
        seed: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        known = {"imu": ACTIVITIES, "audio": tuple(SOUNDS)}.get(modality)
        if known is None:
            raise ConfigurationError(f'no simulated sensor of modality "{modality}"', key="slot")
        place = next((word for word in _UP if word in placement), None)
        if modality == "imu" and place is None:
            raise ConfigurationError(f'no simulated IMU at "{placement}"', key="slot")
        if label is not None and label not in known:
            raise ConfigurationError(
                f'no simulated "{label}"', key="label", hint=f"Choose one of {', '.join(known)}."
            )
        self.name = name
        self.slot = slot
        self.health = SensorHealth()
        self._labels = (label,) if label else known
        self._placement = place if modality == "imu" else None
        self._period_s = period_s
        self._rng = np.random.default_rng(seed)
        self._monotonic_ns = monotonic_ns

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """Yield chunks of a tenth of a second as their time comes, until `stop`."""
        start_ns = self._monotonic_ns()
        self.health.state, self.health.reason = SensorState.ONLINE, "simulated"
        turn = 0
        while not stop.is_set():
            label = self._labels[turn % len(self._labels)]
            for times_ns, values in self._take(label):
                chunk_ns = times_ns + start_ns
                if stop.wait(max(0.0, (int(chunk_ns[-1]) - self._monotonic_ns()) / 1e9)):
                    break
                self.health.samples += len(values)
                yield Chunk(self.name, chunk_ns, values, simulated=True)
            start_ns += round(self._period_s * 1e9)
            turn += 1
        self.health.state, self.health.reason = SensorState.OFFLINE, "stopped"

    def _take(self, label: str) -> Iterator[tuple[Int64, Float32]]:
        """One period of one label, cut into chunks: (times_ns from its start, values)."""
        if self._placement is not None:
            t_us, values = simulated_imu(label, self._period_s, self._rng, self._placement)
            times_ns, rate_hz = t_us * 1000, IMU_RATE_HZ
        else:
            values = simulated_audio(label, self._period_s, self._rng)
            rate_hz = AUDIO_RATE_HZ
            times_ns = (np.arange(len(values)) * (1e9 / rate_hz)).astype(np.int64)
        step = round(_CHUNK_S * rate_hz)
        for at in range(0, len(values), step):
            yield times_ns[at : at + step], values[at : at + step]
