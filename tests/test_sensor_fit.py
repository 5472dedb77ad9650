"""What sensors measure, brought into the slots of the whole model: names, units, sizes, several in one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from serial_rig import rig

from edge_agent import config
from edge_agent.clock import SystemClock
from edge_agent.delivery.subscription import Subscription
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import Manifest, Slot
from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.channels import Channel, fit
from edge_agent.sensors.factory import SensorFactory
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated_mcu import SimulatedMcu
from edge_agent.sensors.simulated_touch import touch_stream
from edge_agent.types import Chunk, Sensor, SensorHealth, SensorState
from edge_agent.windows import Windows

S = 1_000_000_000


def slot(
    name: str, modality: str, rate_hz: float, steps: int, channels: str, *units: str, **more: object
) -> Slot:
    """A slot as the shipped manifest writes it: runs of channels in short, one unit where all are alike."""
    given = {
        "name": name, "modality": modality, "placement": "", "encoder": f"{name}.onnx", "features": "raw",
        "sampling": "hold", "channels": channels.split(), "units": units, "rate_hz": rate_hz,
        "window_s": steps / rate_hz, "n_tokens": 1, "heads": (), "description": name,
    }  # fmt: skip
    return Slot.model_validate(given | more)


def picture(name: str, modality: str, rate_hz: float, steps: int, width: int, height: int) -> Slot:
    pixels = f"px_[000000..{3 * width * height - 1:06}]"
    return slot(name, modality, rate_hz, steps, pixels, "", picture=(width, height))


SLOTS = (
    slot("imu_phone", "imu", 100.0, 100, "acc_x acc_y acc_z gyro_x gyro_y gyro_z",
         "m/s2", "m/s2", "m/s2", "rad/s", "rad/s", "rad/s", sampling="linear"),
    slot("thermal", "thermal", 4.0, 8, "px_[00..15] ambient", "degC"),
    slot("gps", "gps", 0.2, 13, "latitude longitude", "deg", features="local_metres"),
    slot("pose_hand", "pose", 30.0, 1, "wrist_x wrist_y thumb_cmc_x thumb_cmc_y", "hand"),
    slot("air", "environment", 1 / 60, 10, "temperature humidity illuminance co2",
         "degC", "%", "lx", "ppm", sampling="latest"),
    picture("image", "image", 1.0, 1, 32, 32),
    picture("video", "video", 8.0, 8, 32, 24),
    picture("camera", "camera", 2.0, 1, 32, 24),
)  # fmt: skip


@pytest.fixture
def whole() -> Manifest:
    """What a factory needs to know of a model with these slots."""
    return Manifest.model_construct(name="whole", slots=SLOTS)


def make(whole: Manifest, tables: str) -> list[Sensor]:
    """The sensors of these tables. Nothing is opened."""
    settings = config.loads(f'[model]\npath = "x"\n{tables}', Path("/nowhere"))
    clock = SystemClock()

    def subscribe(sensor: str, _topic: str | None) -> Subscription:
        return Subscription(settings.mqtt, clock, client_id=sensor, topic=sensor)

    return SensorFactory(whole, clock, subscribe).make_all(settings.sensors)


def refused(whole: Manifest, tables: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make(whole, tables)
    return caught.value


def chip(name: str, chip: str, slot: str, more: str = "") -> str:
    table = f'[[sensor]]\nkind = "i2c"\nname = "{name}"\nchip = "{chip}"\nbus = "simulated"\n'
    return f'{table}slot = "{slot}"\n{more}\n'


def camera(slot: str, more: str = "") -> str:
    return f'[[sensor]]\nkind = "camera"\nname = "{slot}"\nsource = "pictures"\nslot = "{slot}"\n{more}\n'


# -- names, units, order -----------------------------------------------------------------------------------


def test_one_unit_may_stand_for_all_channels(whole: Manifest):
    thermal = SLOTS[1]
    assert thermal.units == ("degC",)
    assert thermal.unit_of_each == ("degC",) * 17
    (sensor,) = make(whole, chip("ceiling", "d6t", "thermal"))
    assert sensor.channels["ceiling"] == tuple(Channel(name, "degC") for name in thermal.channels)


def test_units_that_are_neither_one_nor_one_each_are_refused():
    said = SLOTS[1].model_dump() | {"units": ("degC", "K")}
    with pytest.raises(ValueError, match="17 channels, 2 units"):
        Slot.model_validate(said)


def test_a_number_without_a_unit_may_be_written_in_two_ways():
    assert fit([Channel("x", "")], ["x"], ["1"]).factors.tolist() == [1.0]
    with pytest.raises(ValueError, match='it gives "mm", the slot needs "1"'):
        fit([Channel("x", "mm")], ["x"], ["1"])


def test_the_rows_of_an_image_fill_a_slot_that_counts_its_cells():
    rows = [Channel(f"c{column}_{row}", "mm") for row in range(2) for column in range(3)]
    names = [f"px_{i}" for i in range(6)]
    with pytest.raises(ValueError, match="its slot needs"):
        fit(rows, names, ["m"] * 6)
    fitted = fit(rows, names, ["m"] * 6, in_order=True)
    assert [channel.name for channel in fitted.channels] == names
    metres = fitted.apply(np.arange(6, dtype=np.float32)[None])
    np.testing.assert_allclose(metres, [[0, 0.001, 0.002, 0.003, 0.004, 0.005]])
    with pytest.raises(ValueError, match="its slot needs"):
        fit(rows[:5], names, ["m"] * 6, in_order=True)


# -- drivers -----------------------------------------------------------------------------------------------


def test_of_a_receiver_the_slot_takes_the_place_alone(whole: Manifest):
    (sensor,) = make(whole, '[[sensor]]\nkind = "gps"\nname = "gps"\nport = "/dev/x"\nslot = "gps"\n')
    assert [channel.name for channel in sensor.channels["gps"]] == ["latitude", "longitude"]


def test_a_camera_gives_the_picture_that_its_slot_takes(whole: Manifest):
    for slot, shape in (("image", (32, 32, 3)), ("video", (24, 32, 3))):
        (sensor,) = make(whole, camera(slot))
        assert sensor.shape == shape
        assert len(sensor.channels[slot]) == len({s.name: s for s in SLOTS}[slot].channels)
    (free,) = make(whole, camera("").replace('slot = ""', "").replace('name = ""', 'name = "door"'))
    assert free.shape == (120, 160, 3)


def test_a_camera_of_another_size_is_told_the_right_one(whole: Manifest):
    error = refused(whole, camera("camera", "width = 24\nheight = 32"))
    assert error.key == "sensor.0.width"
    assert "it gives 24 x 32 pixels; the slot camera wants 32 x 24" in str(error)


def test_what_comes_over_the_network_has_the_channels_of_its_slot(whole: Manifest):
    table = '[[sensor]]\nkind = "network"\nname = "hand"\nslot = "pose_hand"\n'
    (sensor,) = make(whole, table)
    assert [channel.name for channel in sensor.channels["hand"]] == list(SLOTS[3].channels)
    assert "lacks" in str(refused(whole, table + 'channels = { wrist_x = "hand" }'))
    assert "needs" in str(refused(whole, table + 'channels = { wrist_x = "cm" }'))


def test_a_network_sensor_without_slot_names_its_channels():
    with pytest.raises(ConfigurationError, match="channels are missing"):
        config.loads('[model]\npath = "x"\n[[sensor]]\nkind = "network"\nname = "eye"\n', Path())


# -- several sensors in one slot ---------------------------------------------------------------------------

AIR = chip("weather", "bme280", "air") + chip("light", "bh1750", "air") + chip("co2", "scd41", "air")


def test_chips_that_each_give_a_part_share_a_slot(whole: Manifest):
    stop = threading.Event()
    for sensor in make(whole, AIR):
        names = [channel.name for channel in sensor.channels[sensor.name]]
        assert names == list(SLOTS[4].channels)
        chunks: Iterator[Chunk] = sensor.chunks(stop)
        row = next(chunks).values[0]
        assert np.isnan(row).any()
        assert sensor.health.state is SensorState.ONLINE, "what the others give is no defect of this one"
        stop.set()
        chunks.close()
        stop.clear()


def test_a_chip_alone_in_such_a_slot_says_what_is_missing(whole: Manifest):
    (sensor,) = make(whole, chip("light", "bh1750", "air"))
    chunks = sensor.chunks(threading.Event())
    next(chunks)
    health: SensorHealth = sensor.health
    assert (health.state, health.reason) == (
        SensorState.DEGRADED,
        "no channel temperature, humidity, co2",
    )
    chunks.close()


def test_a_slot_of_one_moment_has_one_source(whole: Manifest):
    twice = chip("a", "mpu6050", "imu_phone") + chip("b", "mpu6050", "imu_phone", "address = 0x69")
    error = refused(whole, twice)
    assert error.key == "sensor.1.slot"
    assert '"a" and "b" both fill the slot "imu_phone"' in str(error)
    assert "one source" in error.hint
    with pytest.raises(ValueError, match="one source"):
        Windows(whole.slots, {"a": "imu_phone", "b": "imu_phone"})


def told(windows: Windows, sensor: str, t_s: float, *values: float) -> None:
    times = np.array([round(t_s * S)], np.int64)
    windows.push(Chunk(sensor, times, np.array([values], np.float32)))


def newest(windows: Windows, now_s: float, slot: str = "air") -> list[float]:
    return list(windows.ready(round(now_s * S)))[-1].slots[slot].values[-1].tolist()


NAN = float("nan")


@pytest.fixture
def shared(whole: Manifest) -> Windows:
    return Windows(whole.slots, {"weather": "air", "light": "air", "co2": "air"}, min_coverage=0.05)


def test_no_chip_is_shut_out_by_the_one_that_is_read_before_it(shared: Windows):
    for t_s in range(100, 110):  # inference takes each sensor's chunks in turn, the first one's first
        told(shared, "weather", t_s + 0.4, 20, 40, NAN, NAN)
        told(shared, "light", t_s + 0.2, NAN, NAN, 300, NAN)
        told(shared, "co2", t_s + 0.1, NAN, NAN, NAN, 600)
    assert newest(shared, 110.5) == [20, 40, 300, 600]
    assert shared.stats()["air"].late == 0


def test_a_channel_that_two_chips_have_is_the_first_ones_while_it_gives_it(shared: Windows):
    for t_s in range(100, 110):
        told(shared, "weather", t_s, 20, 40, NAN, NAN)
        told(shared, "co2", t_s + 0.5, 25, 30, NAN, 600)
    assert newest(shared, 110.5) == [20, 40, 0, 600]
    for t_s in range(110, 400, 5):  # the first one is lost
        told(shared, "co2", t_s, 25, 30, NAN, 600)
    assert newest(shared, 400.5) == [25, 30, 0, 600]


def test_a_sample_that_comes_again_is_late_there_too(shared: Windows):
    told(shared, "weather", 100, 20, 40, NAN, NAN)
    told(shared, "weather", 99, 10, 10, NAN, NAN)
    assert newest(shared, 101) == [20, 40, 0, 0]
    assert shared.stats()["air"].late == 1


# -- a place -----------------------------------------------------------------------------------------------


def test_a_receiver_without_a_fix_is_nowhere(whole: Manifest):
    windows = Windows(whole.slots, {"gps": "gps"}, min_coverage=0.05)
    for t_s in range(100, 170):
        told(windows, "gps", t_s, NAN, NAN)
    window = list(windows.ready(170 * S))[-1]
    assert not window.slots
    assert window.stale == {"gps": 0.0}


def test_where_it_was_before_the_first_fix_it_is_taken_to_have_been_before(whole: Manifest):
    windows = Windows(whole.slots, {"gps": "gps"}, min_coverage=0.05)
    for t_s in range(140, 170):
        place = np.array([[52.0 + t_s * 1e-5, 13.0]], np.float64)
        windows.push(Chunk("gps", np.array([t_s * S], np.int64), place))
    values = list(windows.ready(170 * S))[-1].slots["gps"].values
    assert values.dtype == np.float64
    assert (values[:, 0] > 52).all()
    assert (values[:7] == values[0]).all(), "unknown, and held: no leap from nowhere"


# -- the simulated panel -----------------------------------------------------------------------------------


def test_the_panel_of_the_simulated_board_fills_the_slot_row_by_row():
    names = tuple(f"touch_{i:03}" for i in range(405))
    stream = touch_stream(seconds=8.0)
    with SimulatedMcu([stream]) as mcu:
        target = StreamTarget("panel", "capacitance", names, ("1",) * 405)
        sensor = SerialBridgeSensor("board", str(mcu.path), {"touch": target})
        with rig(mcu, sensor) as both:
            taken = both.wait_for(20)
        values = np.concatenate([chunk.values for chunk in taken])
    assert values.shape[1] == 405
    assert all(chunk.simulated for chunk in taken)
    played = {tuple(row) for row in stream.values.tolist()}
    assert all(tuple(row) in played for row in values.tolist()), "no cell is in another's place"
    assert sensor.healths["panel"].state is SensorState.OFFLINE, "stopped"
    assert stream.values.max() > 200, "the finger is down at times,"
    assert stream.values.max(axis=1).min() < 20, "and at times it is not"
