"""Sentences of NMEA 0183, as satellite receivers say them: bytes in, what they mean out.

Sources: NMEA 0183 v2.3 and later, sentences GGA, RMC, VTG and GSA, as in the Garmin GPS 18x Technical
Specifications (190-00879-08, section 4.2) and the u-blox M8 Receiver Description (UBX-13003221, section 31).
The fields are taken apart by pynmea2; a sentence without a right checksum is none.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass

import pynmea2

_SENTENCE = re.compile(r"\$([^*$!\r\n]+)\*([0-9A-Fa-f]{2})")
_USED = re.compile(r"[A-OQ-Z][A-Z](GGA|RMC|VTG|GSA),")
"""Any talker; what begins with P is proprietary, as Garmin's PGRMC is."""
_KNOT_M_S = 1852 / 3600


@dataclass(frozen=True, slots=True)
class Part:
    """What one sentence says of an epoch, in the units of gps.CHANNELS; NaN for an empty field."""

    kind: str
    values: dict[str, float]
    fix: bool = True
    simulated: bool = False
    time: dt.time | None = None
    date: dt.date | None = None


def parse(line: bytes) -> Part | None:
    """Read one sentence, from its `$`; None for a right one of a kind that is not used.

    Raises ValueError for a wrong checksum and for fields that cannot be.
    """
    text = line.decode("ascii")
    found = _SENTENCE.fullmatch(text)
    if found is None or int(found[2], 16) != pynmea2.NMEASentence.checksum(found[1]):
        raise ValueError(f"no sentence with a right checksum: {text!r}")
    used = _USED.match(found[1])
    return _READERS[used[1]](pynmea2.parse(text, check=True)) if used else None


def _gga(sentence: pynmea2.GGA) -> Part:
    quality = _number(sentence.gps_qual)
    values = {
        **_position(sentence),
        "altitude": _number(sentence.altitude),
        "hdop": _number(sentence.horizontal_dil),
        "satellites": _number(sentence.num_sats),
        "fix_quality": quality,
    }
    return Part("GGA", values, fix=quality > 0, simulated=quality == 8, time=_time(sentence.timestamp))


def _rmc(sentence: pynmea2.RMC) -> Part:
    """Status is V by rule where the position is estimated or simulated: the mode tells the two apart."""
    values = {
        **_position(sentence),
        "speed": _number(sentence.spd_over_grnd) * _KNOT_M_S,
        "course": _number(sentence.true_course),
    }
    date = sentence.datestamp
    if date is not None and not isinstance(date, dt.date):
        raise ValueError(f"no date: {date!r}")
    mode = sentence.mode_indicator
    fix = sentence.status == "A" or mode in ("E", "S")
    return Part("RMC", values, fix, simulated=mode == "S", time=_time(sentence.timestamp), date=date)


def _vtg(sentence: pynmea2.VTG) -> Part:
    return Part(
        "VTG",
        {"speed": _number(sentence.spd_over_grnd_kmph) / 3.6, "course": _number(sentence.true_track)},
    )


def _gsa(sentence: pynmea2.GSA) -> Part:
    dimensions = _number(sentence.mode_fix_type)
    return Part("GSA", {"hdop": _number(sentence.hdop), "dimensions": dimensions}, fix=dimensions != 1)


_READERS = {"GGA": _gga, "RMC": _rmc, "VTG": _vtg, "GSA": _gsa}
KINDS = tuple(_READERS)
"""The sentences that are used; the first that has a value is believed."""


def _number(field_value: object) -> float:
    """A field as a number; NaN where it is empty. Raises ValueError for anything else."""
    if field_value is None or field_value == "":
        return math.nan
    number = float(str(field_value))
    if not math.isfinite(number):
        raise ValueError(f"no number: {field_value!r}")
    return number


def _time(field_value: object) -> dt.time | None:
    """The library leaves a time that it cannot read as it was."""
    if field_value is not None and not isinstance(field_value, dt.time):
        raise ValueError(f"no time: {field_value!r}")
    return field_value


def _position(sentence: pynmea2.GGA | pynmea2.RMC) -> dict[str, float]:
    """Degrees, north and east positive. The library would make 0 of an empty field, which is a place."""
    if not (sentence.lat and sentence.lon):
        return {"latitude": math.nan, "longitude": math.nan}
    latitude, longitude = float(sentence.latitude), float(sentence.longitude)
    right = sentence.lat_dir in ("N", "S") and sentence.lon_dir in ("E", "W")
    if not right or abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError(f"no place: {sentence}")
    return {"latitude": latitude, "longitude": longitude}
