"""NMEA 0183 without a port: sentences of the receivers' manuals, epochs, garbage, time, silence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.errors import SensorError
from edge_agent.sensors.gps import CHANNELS, NmeaSession
from edge_agent.sensors.nmea import parse
from edge_agent.sensors.simulated_gps import sentence
from edge_agent.types import Chunk, SensorHealth, SensorState

MS = 1_000_000
# The examples of the u-blox M8 Receiver Description (UBX-13003221), section 31.
GGA = b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B\r\n"
RMC = b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A*57\r\n"
VTG = b"$GPVTG,77.52,T,,M,0.004,N,0.008,K,A*06\r\n"
GSA = b"$GPGSA,A,3,23,29,07,08,09,18,26,28,,,,,1.94,1.18,1.54*0D\r\n"
# What a NEO-6M says at a cold start.
COLD = (
    b"$GPRMC,,V,,,,,,,,,,N*53\r\n$GPVTG,,,,,,,,,N*30\r\n$GPGGA,,,,,,0,00,99.99,,,,,,*48\r\n"
    b"$GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99*30\r\n$GPGSV,1,1,00*79\r\n$GPGLL,,,,,,V,N*64\r\n"
)


class Bench:
    def __init__(self, *, simulated: bool = False) -> None:
        self.clock = ManualClock(10_000 * MS, wall_offset_ns=1_600_000_000_000_000_000)
        self.health = SensorHealth()
        self.session = NmeaSession("gps", self.health, self.clock, simulated)
        self.chunks: list[Chunk] = []

    def hear(self, data: bytes, piece: int = 10_000) -> None:
        for at in range(0, len(data), piece):
            self.chunks += self.session.receive(data[at : at + piece], self.clock.monotonic_ns())

    def pause(self, seconds: float) -> None:
        """The line gives nothing: the port's read comes back empty every 50 ms."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.chunks += self.session.receive(b"", self.clock.monotonic_ns())

    def samples(self) -> list[dict[str, float]]:
        names = [channel.name for channel in CHANNELS]
        return [dict(zip(names, chunk.values[0].tolist(), strict=True)) for chunk in self.chunks]


def burst(second: int, *, talker: str = "GP", latitude: str = "4717.11437,N") -> bytes:
    where = f"{latitude},00833.91522,E"
    return (
        sentence(f"{talker}RMC,0835{second:02}.00,A,{where},10.0,77.52,091202,,,A")
        + sentence(f"{talker}VTG,77.52,T,,M,10.0,N,18.52,K,A")
        + sentence(f"{talker}GGA,0835{second:02}.00,{where},1,08,1.01,499.6,M,48.0,M,,")
        + sentence(f"{talker}GSA,A,3,23,29,07,08,09,18,26,28,,,,,1.94,1.18,1.54")
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            GGA,
            {
                "latitude": 47 + 17.11399 / 60,
                "longitude": 8 + 33.9159 / 60,
                "altitude": 499.6,
                "hdop": 1.01,
                "satellites": 8.0,
                "fix_quality": 1.0,
            },
        ),
        (
            RMC,
            {
                "latitude": 47 + 17.11437 / 60,
                "longitude": 8 + 33.91522 / 60,
                "speed": 0.004 * 1852 / 3600,
                "course": 77.52,
            },
        ),
        (VTG, {"speed": 0.008 / 3.6, "course": 77.52}),
        (GSA, {"hdop": 1.18, "dimensions": 3.0}),
    ],
)
def test_the_examples_of_the_manual(line: bytes, expected: dict[str, float]):
    part = parse(line.strip())
    assert part is not None
    assert part.fix
    assert part.values == pytest.approx(expected)


@pytest.mark.parametrize(
    "line",
    [
        GGA.replace(b"*5B", b"*5C").strip(),  # wrong checksum
        GGA.replace(b"*5B", b"").strip(),  # none
        GGA.replace(b"4717", b"4718").strip(),  # a digit fell over
        sentence("GPGGA,092725.00,9917.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,").strip(),
        sentence("GPGGA,092725.00,4717.11399,X,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,").strip(),
        sentence("GPGGA,092725.00,4717x11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,").strip(),
        sentence("GPGGA,992725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,").strip(),
        sentence("GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,high,M,48.0,M,,").strip(),
        sentence("GPRMC,083559.00,A,4717.11437,N,00833.91522,E,inf,77.52,091202,,,A").strip(),
        sentence("GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.0,77.52,391302,,,A").strip(),
        b"$GPGSV,1,1,00*78",  # an unused kind has to be right too: it keeps the line alive
        b"\xff$GP",
    ],
)
def test_a_sentence_that_is_wrong_in_any_way_is_refused(line: bytes):
    with pytest.raises(ValueError):  # the library's own messages are not ours to promise
        parse(line)


@pytest.mark.parametrize("body", ["GPGSV,1,1,00", "GPZDA,082710.00,16,09,2002,00,00", "PGRMC,A,0.0,100"])
def test_a_right_sentence_that_is_not_used_is_no_error(body: str):
    assert parse(sentence(body).strip()) is None


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_an_epoch_is_one_sample_however_it_is_cut(piece: int):
    bench = Bench()
    start_ns = bench.clock.monotonic_ns()
    bench.hear(burst(1), piece)
    assert bench.chunks == []
    bench.pause(0.15)
    bench.pause(0.85)
    bench.hear(burst(2), piece)
    bench.pause(0.15)
    assert [chunk.times_ns.tolist() for chunk in bench.chunks] == [[start_ns], [start_ns + 1000 * MS]]
    for sample in bench.samples():
        assert sample == pytest.approx(
            {
                "latitude": 47 + 17.11437 / 60,
                "longitude": 8 + 33.91522 / 60,
                "altitude": 499.6,
                "speed": 10 * 1852 / 3600,
                "course": 77.52,
                "hdop": 1.01,
                "satellites": 8,
                "fix_quality": 1,
            },
            rel=1e-6,
        )
    assert (bench.health.state, bench.health.reason, bench.health.errors) == (SensorState.ONLINE, "", 0)


def test_a_burst_begins_with_its_first_byte_whatever_that_belongs_to():
    bench = Bench()
    bench.hear(sentence("GPZDA,083501.00,09,12,2002,00,00"))
    start_ns = bench.clock.monotonic_ns()
    bench.clock.advance(0.04)
    bench.hear(burst(1))
    bench.pause(0.15)
    assert bench.chunks[0].times_ns.tolist() == [start_ns]


def test_bursts_without_a_pause_are_parted_by_their_time():
    bench = Bench()
    bench.hear(b"".join(burst(second) for second in range(1, 6)))
    assert len(bench.chunks) == 4
    bench.pause(0.1)
    assert len(bench.chunks) == 5


def test_a_burst_that_is_torn_apart_gives_no_second_sample():
    bench = Bench()
    lines = burst(1).splitlines(keepends=True)
    bench.hear(lines[0] + lines[1])
    bench.pause(0.2)
    bench.hear(lines[2] + lines[3])
    bench.pause(0.2)
    assert len(bench.chunks) == 1


def test_a_clock_that_stands_still_does_not_hide_samples():
    bench = Bench()
    for _ in range(3):
        bench.hear(burst(1))
        bench.pause(1)
    assert len(bench.chunks) == 3


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "BD"])
def test_any_talker(talker: str):
    bench = Bench()
    bench.hear(burst(1, talker=talker))
    bench.pause(0.1)
    assert len(bench.chunks) == 1


def test_without_a_fix_there_is_no_place_and_the_health_says_so():
    bench = Bench()
    for _ in range(2):
        bench.hear(COLD)
        bench.pause(1)
    assert len(bench.chunks) == 2
    sample = bench.samples()[0]
    assert (sample.pop("satellites"), sample.pop("fix_quality")) == (0, 0)
    assert all(math.isnan(value) for value in sample.values())
    assert (bench.health.state, bench.health.reason, bench.health.errors) == (
        SensorState.DEGRADED,
        "no fix",
        0,
    )
    bench.hear(burst(3))
    bench.pause(0.1)
    assert (bench.health.state, bench.health.reason) == (SensorState.ONLINE, "")


@pytest.mark.parametrize(
    "bodies",
    [
        # GGA has a place, but RMC warns: a last known place is not a fix.
        [
            "GPRMC,083559.00,V,4717.11437,N,00833.91522,E,,,091202,,,N",
            "GPGGA,083559.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,",
        ],
        ["GPRMC,083559.00,A,4717.11437,N,00833.91522,E,,,091202,,,A", "GPGSA,A,1,,,,,,,,,,,,,,,"],
        ["GPRMC,083559.00,A,,,,,,,091202,,,A"],
    ],
)
def test_one_sentence_against_a_fix_is_enough(bodies: list[str]):
    bench = Bench()
    bench.hear(b"".join(map(sentence, bodies)))
    bench.pause(0.1)
    assert math.isnan(bench.samples()[0]["latitude"])
    assert bench.health.reason == "no fix"


def test_a_place_is_as_exact_as_the_receiver_says_it():
    """Seven decimals of a minute, as receivers with high precision give, are 0.2 mm."""
    bench = Bench()
    bench.hear(sentence("GNGGA,083500.00,4717.1143701,N,17933.9152299,W,4,08,1.01,499.6,M,48.0,M,,"))
    bench.pause(0.2)
    [sample] = bench.samples()
    assert sample["latitude"] == pytest.approx(47 + 17.1143701 / 60, abs=1e-12)
    assert sample["longitude"] == pytest.approx(-179 - 33.9152299 / 60, abs=1e-12)
    assert sample["fix_quality"] == 4


def test_south_and_west_are_negative_and_a_flat_fix_has_no_altitude():
    bench = Bench()
    bench.hear(sentence("GPGGA,092725.00,3330.00000,S,07030.00000,W,1,03,1.01,499.6,M,48.0,M,,"))
    bench.hear(sentence("GPGSA,A,2,23,29,07,,,,,,,,,,1.94,1.18,1.54"))
    bench.pause(0.1)
    (sample,) = bench.samples()
    assert (sample["latitude"], sample["longitude"]) == (-33.5, -70.5)
    assert math.isnan(sample["altitude"])
    assert math.isnan(sample["speed"])  # there was neither RMC nor VTG


def test_a_damaged_sentence_costs_what_it_says_and_no_more():
    bench = Bench()
    bench.hear(burst(1).replace(b"GGA,083501", b"GGA,083507"))
    bench.pause(0.1)
    (sample,) = bench.samples()
    assert sample["latitude"] == pytest.approx(47 + 17.11437 / 60, rel=1e-6)
    assert math.isnan(sample["altitude"])
    assert sample["hdop"] == pytest.approx(1.18)  # GSA's, since GGA's is lost
    assert (bench.health.errors, bench.health.state) == (1, SensorState.ONLINE)


def test_speed_and_course_are_vtgs_where_rmc_has_none():
    bench = Bench()
    bench.hear(sentence("GPRMC,083501.00,A,4717.11437,N,00833.91522,E,,,091202,,,A"))
    bench.hear(sentence("GPVTG,77.52,T,,M,,N,36.0,K,A"))
    bench.pause(0.1)
    (sample,) = bench.samples()
    assert (sample["speed"], sample["course"]) == (pytest.approx(10), pytest.approx(77.52))


def test_a_simulator_is_called_one():
    """Mode S, for which the status has to be V, or quality 8."""
    bench = Bench()
    bench.hear(sentence("GPRMC,083501.00,V,4717.11437,N,00833.91522,E,1.0,,091202,,,S"))
    bench.pause(1)
    bench.hear(sentence("GPGGA,083502.00,4717.11399,N,00833.91590,E,8,08,1.01,499.6,M,48.0,M,,"))
    bench.pause(1)
    bench.hear(burst(3))
    bench.pause(1)
    assert [chunk.simulated for chunk in bench.chunks] == [True, True, False]
    assert [math.isnan(sample["latitude"]) for sample in bench.samples()] == [False] * 3


def test_the_receivers_utc_against_our_wall_clock():
    """2002-12-09 08:35:01 UTC is 1 039 422 901 s; the largest offset has the least delay in it."""
    bench, said_s = Bench(), []
    first_s = bench.clock.wall_ns() / 1e9 - 0.04
    for second, late_s in ((1, 0.3), (2, 0.04), (3, 0.2)):
        bench.clock.advance(first_s + second - 1 + late_s - bench.clock.wall_ns() / 1e9)
        bench.hear(burst(second))
        bench.pause(0.2)
        said_s.append(bench.health.fix.utc_offset_s)
    expected_s = 1_039_422_901 - first_s - np.array([0.3, 0.04, 0.04])
    assert said_s == pytest.approx(expected_s, abs=1e-3)


def test_the_quality_of_the_fix_is_said_beside_the_samples():
    """A slot that takes latitude and longitude alone has no column for it."""
    bench, said = Bench(), []
    assert bench.health.fix is None
    for line in (COLD, GGA, GGA.replace(b",1,08,", b",4,08,").replace(b"*5B", b"*5E"), burst(30)):
        bench.hear(line)
        bench.pause(1)
        fix = bench.health.fix
        said.append((fix.quality, fix.utc_offset_s is None))
    assert said == [(0, True), (1, True), (4, True), (1, False)]


def test_a_receiver_that_falls_silent_is_given_up():
    bench = Bench()
    assert bench.session.outgoing(bench.clock.monotonic_ns()) == b""
    bench.hear(burst(1))
    bench.pause(2.9)
    assert bench.session.outgoing(bench.clock.monotonic_ns()) == b""
    bench.hear(b"\x80\x11$\x07\n" * 20)  # another baud rate: noise is not speech
    bench.pause(0.2)
    with pytest.raises(SensorError, match="NMEA") as caught:
        bench.session.outgoing(bench.clock.monotonic_ns())
    assert "baud" in caught.value.hint
    assert bench.session.goodbye() == b""


def test_the_half_sentence_of_the_opening_is_no_error_and_everything_else_is():
    bench = Bench()
    bench.hear(b"7.11399,N,00833.91590,E,1,08\r\n" + burst(1))
    assert bench.health.errors == 0
    bench.hear(b"junk\r\n")
    assert bench.health.errors == 1
    bench.hear(b"$GPGGA,0927" + burst(2))  # cut off by the next one
    assert bench.health.errors == 2
    bench.hear(b"$" + b"x" * 100_000 + b"\r\n")
    assert bench.health.errors == 3
    bench.pause(0.1)
    assert len(bench.chunks) == 2


@given(
    noise=st.lists(st.binary(max_size=60) | st.text("$*,GPAMRC019\r\n", max_size=40).map(str.encode)),
    cuts=st.integers(1, 50),
)
def test_no_noise_breaks_it_and_good_sentences_come_through(noise: list[bytes], cuts: int):
    """Cut anywhere, the same samples come of it; what follows the noise is understood."""
    whole, parts = Bench(), Bench()
    for second, junk in enumerate(noise[:20], start=1):
        data = junk + b"\n" + burst(second)
        whole.hear(data)
        parts.hear(data, cuts)
    for bench in (whole, parts):
        bench.pause(0.1)
    assert len(whole.chunks) == len(parts.chunks) == len(noise[:20])
    for one, other in zip(whole.chunks, parts.chunks, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert whole.health.errors == parts.health.errors
    assert all(np.isfinite(chunk.values).all() for chunk in whole.chunks)


@given(st.integers(0, len(burst(1)) - 1), st.integers(0, 7))
def test_no_single_wrong_bit_becomes_a_wrong_place(at: int, bit: int):
    spoilt = bytearray(burst(1))
    spoilt[at] ^= 1 << bit
    bench = Bench()
    bench.hear(b"\n" + bytes(spoilt) + burst(2))
    bench.pause(0.1)
    for sample in bench.samples():
        assert sample["latitude"] == pytest.approx(47 + 17.11437 / 60, rel=1e-6)
    assert len(bench.chunks) >= 1
