"""I2C sensors from their settings: one bus for all of its chips, and recordings for simulated ones."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_agent.clock import ManualClock
from edge_agent.config_sensors import Faults, I2cSensor
from edge_agent.errors import ConfigurationError
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.build import I2cBuilder
from edge_agent.types import Chunk

DATA = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data"))
SIX_AXES = ("mpu6050", "icm20948", "lsm6dsox")
RESOLUTION = dict.fromkeys(chips.NAMES, 0.01) | {
    "amg8833": 0.13, "d6t": 0.06, "mlx90640": 0.3, "mpr121": 4.0, "scd41": 0.6, "bme280": 1.0, "bh1750": 0.5,
}  # fmt: skip
"""Of the coarsest channel, in its unit: what a chip rounds to."""


def settings(chip: str, name: str = "", **more: object) -> I2cSensor:
    return I2cSensor(kind="i2c", name=name or chip, chip=chip, **{"bus": "simulated", **more})


@pytest.fixture
def builder() -> I2cBuilder:
    return I2cBuilder(ManualClock(10**9))


def taken(builder: I2cBuilder, table: I2cSensor, count: int) -> list[Chunk]:
    return list(itertools.islice(builder.make(table, None).chunks(threading.Event()), count))


# -- buses -----------------------------------------------------------------------------------------------


def test_all_chips_of_a_bus_share_it_and_it_is_opened_once(builder: I2cBuilder):
    sensors = [builder.make(settings(chip), None) for chip in ("mpu6050", "bme280", "d6t")]
    assert builder.simulated.opened == 0, "nothing is opened before it is read"
    running = [sensor.chunks(threading.Event()) for sensor in sensors]
    for _ in range(5):
        assert [next(chunks).sensor for chunks in running] == ["mpu6050", "bme280", "d6t"]
    assert builder.simulated.opened == 1


def test_a_neighbour_that_ends_costs_the_others_nothing(builder: I2cBuilder):
    first, second = (builder.make(settings(chip), None) for chip in ("mpu6050", "bme280"))
    stays, ends = first.chunks(threading.Event()), second.chunks(threading.Event())
    next(stays), next(ends)
    ends.close()
    for _ in range(5):
        next(stays)
    assert (first.health.errors, first.health.reconnects) == (0, 0)


@pytest.mark.parametrize("buses", [("simulated", "simulated"), (1, 1), (1, "/dev/i2c-1")])
def test_two_chips_cannot_have_one_address_of_a_bus(builder: I2cBuilder, buses: tuple[int | str, ...]):
    builder.make(settings("mpu6050", "one", bus=buses[0], address=0x68), None)
    with pytest.raises(ConfigurationError, match=r'"one" is at 0x68 of the same bus already') as caught:
        builder.make(settings("amg8833", "two", bus=buses[1], address=0x68), None)
    assert caught.value.key == "address"
    builder.make(settings("amg8833", "two", bus=buses[1], address=0x69), None)
    builder.make(settings("amg8833", "three", bus=2, address=0x68), None)


def test_an_address_that_a_chip_never_has_is_refused(builder: I2cBuilder):
    with pytest.raises(ConfigurationError, match="a mpu6050 is never at 0x40") as caught:
        builder.make(settings("mpu6050", address=0x40), None)
    assert (caught.value.key, caught.value.hint) == ("address", "it can be at 0x68 or 0x69")


# -- recordings ------------------------------------------------------------------------------------------


def write(path: Path, names: list[str], rows: list[list[object]]) -> Path:
    lines = [",".join(map(str, row)) for row in ([*names, "timestamp"], *rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def channels_of(chip: str) -> list[str]:
    (channels,) = I2cBuilder(ManualClock()).make(settings(chip), None).channels.values()
    return [channel.name for channel in channels]


@pytest.mark.parametrize("chip", chips.NAMES)
def test_every_simulated_chip_measures_what_a_table_says(builder: I2cBuilder, tmp_path: Path, chip: str):
    """What it would have measured by itself, three quarters of that, and no third."""
    own = taken(builder, settings(chip), 3)[-1].values[0]
    assert np.isfinite(own).all()
    for number, factor in enumerate((1.0, 0.75)):
        there = own * factor
        file = write(tmp_path / f"{number}.csv", channels_of(chip), [[*there, 0], [*there, 60_000]])
        seen = taken(I2cBuilder(ManualClock(10**9)), settings(chip, recording=file), 3)[-1].values[0]
        np.testing.assert_allclose(seen, there, rtol=1e-3, atol=RESOLUTION[chip])


@pytest.mark.parametrize("chip", SIX_AXES)
@pytest.mark.skipif(not DATA.exists(), reason=f"the recordings are not at {DATA} (EDGE_AGENT_DATA)")
def test_a_person_who_was_recorded_comes_through_a_motion_chip(builder: I2cBuilder, chip: str):
    """The recording itself, through the driver: the same distribution of every axis, and simulated."""
    file = DATA / "demo" / "s01_01_sp.csv"
    recorded = np.loadtxt(file, delimiter=",", skiprows=1, usecols=range(6))
    chunks = taken(builder, settings(chip, recording=file), 400)
    values = np.concatenate([chunk.values for chunk in chunks])
    assert all(chunk.simulated for chunk in chunks)
    assert len(values) > 1500
    off = np.abs(values[:, None, :] - recorded[None, :2500, :]).max(axis=2).min(axis=1)
    assert np.median(off) < 0.002, "each sample is one of the recording's, to the chip's last bit"


@pytest.mark.skipif(not DATA.exists(), reason=f"the recordings are not at {DATA} (EDGE_AGENT_DATA)")
def test_a_kitchen_that_was_recorded_comes_through_a_depth_chip(builder: I2cBuilder, tmp_path: Path):
    """The middle of each of 8 x 8 cells of a real depth camera; what is out of reach has no distance."""
    with np.load(DATA / "redkitchen_rgbd" / "data.npz", allow_pickle=False) as data:
        depth_mm = data["depth_mm"][:40, 7::15, 10::20].reshape(40, 64).astype(np.float32)
    depth_m = np.where((depth_mm > 0) & (depth_mm < 65_535), depth_mm / 1000, np.nan)
    rows = [
        ["" if np.isnan(value) else f"{value:.4f}" for value in image] + [f"{i * 500}"]
        for i, image in enumerate(depth_m)
    ]
    file = write(tmp_path / "kitchen.csv", channels_of("vl53l5cx"), rows)
    chunks = taken(builder, settings("vl53l5cx", recording=file, rate_hz=4.0), 60)
    values = np.concatenate([chunk.values for chunk in chunks])[2:]
    expected = np.where(depth_m <= 4.0, depth_m, np.nan)
    same = np.isclose(values[:, None, :], expected[None], atol=0.0003, equal_nan=True).all(axis=2)
    assert same.any(axis=1).all()
    assert same.any(axis=0).sum() > 10


@pytest.mark.parametrize(
    ("chip", "text", "says"),
    [
        (
            "bme280",
            "temperature,humidity,timestamp\n20,40,0\n20,40,1000\n",
            "lacks .* pressure",
        ),
        ("sht31", "temperature,humidity\n20,40\n", r"lacks the column\(s\) timestamp"),
        ("sht31", "temperature,humidity,timestamp\n20,40,0\n", "fewer than two"),
        ("sht31", "temperature,humidity,timestamp\n20,40,0\n20,wet,1000\n", "no number"),
        ("sht31", "temperature,humidity,timestamp\n20,40,0\n,40,1000\n", "fields without a number"),
        ("sht31", "temperature,humidity,timestamp\n20,40,10\n20,40,0\n", "do not go forward"),
        ("sht31", None, "no recording at"),
    ],
)
def test_a_recording_that_a_chip_cannot_measure_is_refused(
    builder: I2cBuilder, tmp_path: Path, chip: str, text: str | None, says: str
):
    file = tmp_path / "it.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=says) as caught:
        builder.make(settings(chip, recording=file), None)
    assert caught.value.key == "recording"


# -- faults ----------------------------------------------------------------------------------------------


def test_noise_has_the_size_that_was_asked_for_and_stuck_is_stuck(builder: I2cBuilder):
    """On a scene that is steady until then."""
    loud = settings("mlx90640", faults=Faults(noise=3.0))
    values = np.concatenate([chunk.values for chunk in taken(builder, loud, 60)])
    assert 2.5 < np.median(values.std(axis=0)) < 4.5
    stuck = settings("d6t", faults=Faults(stuck_after_s=5.0))
    values = np.concatenate([chunk.values for chunk in taken(I2cBuilder(ManualClock(10**9)), stuck, 100)])
    assert np.ptp(values[:15], axis=0).max() > 0.5
    assert np.ptp(values[30:], axis=0).max() == 0
