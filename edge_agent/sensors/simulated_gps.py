"""A satellite receiver at the far end of a pty: recorded or invented tracks as NMEA 0183.

It says RMC, VTG, GGA and GSA each epoch, in this order, as a u-blox M8 does (UBX-13003221, section 31):
empty fields without a fix, mode and quality S and 8 where the track was made up.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.config_sensors import Disturbance
from edge_agent.sensors.simulated_serial import SimulatedSerial
from edge_agent.types import Clock

Float64 = npt.NDArray[np.float64]

_EARTH_M = 6_371_008.8
"""Mean radius (IUGG)."""
_M_PER_DEGREE = math.pi / 180 * _EARTH_M
_KNOT_M_S = 1852 / 3600
_STILL_M_S = 0.1
"""Slower than this, a receiver gives no course."""
_SATELLITES = ("03", "07", "08", "10", "16", "18", "21", "26", "27")


class Place(NamedTuple):
    """Where the receiver is: degrees, metres above the sea, metres a second, degrees from north."""

    latitude: float
    longitude: float
    altitude: float
    speed: float
    course: float


@dataclass(frozen=True, slots=True)
class Track:
    """A way, gone again and again: t_s (n,) increasing from 0, the others (n,) in degrees and metres."""

    t_s: Float64
    latitude: Float64
    longitude: Float64
    altitude: Float64
    simulated: bool = False

    def __post_init__(self) -> None:
        shapes = {np.shape(column) for column in (self.t_s, self.latitude, self.longitude, self.altitude)}
        if len(shapes) != 1 or len(self.t_s) < 2 or (np.diff(self.t_s) <= 0).any() or self.t_s[0] != 0:
            raise ValueError(f"a track needs two points or more, in increasing time from 0; it has {shapes}")

    @classmethod
    def from_metres(
        cls, t_s: Float64, x_m: Float64, y_m: Float64, *, origin: tuple[float, float], simulated: bool = False
    ) -> Track:
        """East and north of `origin` (degrees), on a sphere: for recordings without an absolute place."""
        latitude = origin[0] + y_m / _M_PER_DEGREE
        longitude = origin[1] + x_m / (_M_PER_DEGREE * math.cos(math.radians(origin[0])))
        return cls(t_s - t_s[0], latitude, longitude, np.zeros_like(latitude), simulated)

    def at(self, seconds: float) -> Place:
        """Between two points on the straight line; speed and course are those of that line."""
        seconds %= self.t_s[-1]
        i = min(int(np.searchsorted(self.t_s, seconds, "right")), len(self.t_s) - 1)
        step_s = self.t_s[i] - self.t_s[i - 1]
        share = (seconds - self.t_s[i - 1]) / step_s
        latitude, longitude, altitude = (
            float(column[i - 1] + share * (column[i] - column[i - 1]))
            for column in (self.latitude, self.longitude, self.altitude)
        )
        north_m = (self.latitude[i] - self.latitude[i - 1]) * _M_PER_DEGREE
        east_m = self.longitude[i] - self.longitude[i - 1]
        east_m *= _M_PER_DEGREE * math.cos(math.radians(latitude))
        course = math.degrees(math.atan2(east_m, north_m)) % 360
        return Place(latitude, longitude, altitude, float(math.hypot(east_m, north_m) / step_s), course)


class Way(Protocol):
    """Where the receiver is, over time; see Track, which is one."""

    @property
    def simulated(self) -> bool:
        """Whether it was made up."""
        ...

    def at(self, seconds: float) -> Place:
        """The place then."""
        ...


class Disturbed:
    """A way on which the receiver is wrong by noise (m, each way) and stands still once it is stuck."""

    def __init__(self, way: Way, faults: Disturbance, seed: int = 0) -> None:
        self.simulated = way.simulated
        self._way = way
        self._faults = faults
        self._rng = np.random.default_rng(seed)

    def at(self, seconds: float) -> Place:
        """See Way."""
        stuck_s = self._faults.stuck_after_s
        if stuck_s and seconds > stuck_s:
            return self._way.at(stuck_s)
        place = self._way.at(seconds)
        if not self._faults.noise:
            return place
        north_m, east_m, up_m = (float(metres) for metres in self._rng.normal(0, self._faults.noise, 3))
        per_degree_east = _M_PER_DEGREE * math.cos(math.radians(place.latitude))
        return place._replace(
            latitude=place.latitude + north_m / _M_PER_DEGREE,
            longitude=place.longitude + east_m / per_degree_east,
            altitude=place.altitude + up_m,
        )


def walk_in_a_circle(
    radius_m: float = 40.0, speed_m_s: float = 1.4, origin: tuple[float, float] = (48.1, 11.6)
) -> Track:
    """An invented walk around `origin`, and back to where it began."""
    angle = np.linspace(0, 2 * np.pi, 73)
    return Track.from_metres(
        angle * radius_m / speed_m_s,
        radius_m * np.sin(angle),
        radius_m * np.cos(angle),
        origin=origin,
        simulated=True,
    )


class NmeaReceiver:
    """The receiver without its line; see simulated_serial.SimulatedDevice.

    Epochs are at multiples of its period in UTC, and are told `latency_us` later. `first_fix_us` after power
    comes it knows time and place. `utc_us` is its own UTC at age 0.
    """

    def __init__(
        self, track: Way, *, utc_us: int, rate_hz: float, latency_us: int, first_fix_us: int
    ) -> None:
        self._track = track
        self._utc_us = utc_us
        self._period_us = round(1e6 / rate_hz)
        self._latency_us = latency_us
        self._first_fix_us = first_fix_us
        self._booted_us = 0
        self._epoch_us = 0
        self.sees_the_sky = True

    def boot(self, age_us: int) -> bytes:
        """Power comes back: a banner, and the next epoch is the next multiple of the period."""
        self._booted_us = age_us
        self._epoch_us = -(-(self._utc_us + age_us) // self._period_us) * self._period_us
        return sentence("GPTXT,01,01,02,simulated receiver")

    def receive(self, data: bytes, age_us: int) -> bytes:
        """It does not listen."""
        del data, age_us
        return b""

    def due(self, age_us: int) -> list[bytes]:
        """Four sentences for each epoch that can be told by now."""
        frames = []
        while self.next_due_us() <= age_us:
            frames += self._sentences(self._epoch_us)
            self._epoch_us += self._period_us
        return frames

    def next_due_us(self) -> int:
        """When the next epoch is told."""
        return self._epoch_us - self._utc_us + self._latency_us

    def _sentences(self, epoch_us: int) -> list[bytes]:
        age_us = epoch_us - self._utc_us
        knows_time = age_us - self._booted_us >= self._first_fix_us
        utc = dt.datetime.fromtimestamp(epoch_us / 1e6, dt.UTC)
        time, date = (f"{utc:%H%M%S.%f}"[:9], f"{utc:%d%m%y}") if knows_time else ("", "")
        if not (knows_time and self.sees_the_sky):
            bodies = [
                f"GPRMC,{time},V,,,,,,,{date},,,N",
                "GPVTG,,,,,,,,,N",
                f"GPGGA,{time},,,,,0,00,99.99,,,,,,",
                "GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99",
            ]
        else:
            bodies = self._with_fix(time, date, self._track.at(age_us / 1e6))
        return [sentence(body) for body in bodies]

    def _with_fix(self, time: str, date: str, place: Place) -> list[str]:
        # RMC is V by rule where the mode is neither autonomous nor differential.
        status, mode, quality = ("V", "S", 8) if self._track.simulated else ("A", "A", 1)
        where = f"{_degrees(place.latitude, 2, 'NS')},{_degrees(place.longitude, 3, 'EW')}"
        course = f"{place.course:.2f}" if place.speed >= _STILL_M_S else ""
        knots, kmh = place.speed / _KNOT_M_S, place.speed * 3.6
        seen = ",".join([*_SATELLITES, *[""] * (12 - len(_SATELLITES))])
        return [
            f"GPRMC,{time},{status},{where},{knots:.3f},{course},{date},,,{mode}",
            f"GPVTG,{course},T,,M,{knots:.3f},N,{kmh:.3f},K,{mode}",
            f"GPGGA,{time},{where},{quality},{len(_SATELLITES):02},0.95,{place.altitude:.1f},M,46.0,M,,",
            f"GPGSA,A,3,{seen},1.80,0.95,1.53",
        ]


class SimulatedGps(SimulatedSerial):
    """Walks `track` and tells of it; see SimulatedSerial for the line and its faults.

    `utc_error_s` is how far its UTC is ahead of our wall clock.
    """

    def __init__(
        self,
        track: Way,
        clock: Clock,
        *,
        link: Path | None = None,
        rate_hz: float = 1.0,
        latency_s: float = 0.06,
        first_fix_s: float = 0.0,
        utc_error_s: float = 0.0,
        drift_ppm: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._receiver = NmeaReceiver(
            track,
            utc_us=clock.wall_ns() // 1000 + round(utc_error_s * 1e6),
            rate_hz=rate_hz,
            latency_us=round(latency_s * 1e6),
            first_fix_us=round(first_fix_s * 1e6),
        )
        super().__init__(
            self._receiver, link=link, drift_ppm=drift_ppm, seed=seed, monotonic_ns=clock.monotonic_ns
        )

    def lose_fix(self) -> None:
        """A tunnel begins: it goes on to speak, without a place."""
        self._receiver.sees_the_sky = False

    def find_fix(self) -> None:
        """The tunnel ends."""
        self._receiver.sees_the_sky = True


def sentence(body: str) -> bytes:
    """A body with its `$`, checksum and line end."""
    return f"${body}*{reduce(xor, body.encode('ascii')):02X}\r\n".encode("ascii")


def _degrees(angle: float, digits: int, signs: str) -> str:
    """Degrees and minutes, `ddmm.mmmmm,N`."""
    minutes = round(abs(angle) * 60 * 100_000)
    whole, rest = divmod(minutes, 60 * 100_000)
    return f"{whole:0{digits}}{rest / 100_000:08.5f},{signs[angle < 0]}"
