"""Every simulated device with every fault: what its driver makes of noise, of a stuck value, of what is lost,
spoilt and unplugged.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import smbus2
from conftest import Mosquitto, wait_for
from serial_rig import Rig, rig

from edge_agent import simulated_devices
from edge_agent.cli_simulate import LINKED, TRACKERS
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.config import Mqtt
from edge_agent.config_sensors import Disturbance, Faults, I2cSensor, SignalFaults
from edge_agent.delivery.subscription import Subscription
from edge_agent.errors import SensorError
from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.faulty import FaultySensor
from edge_agent.sensors.gps import gps_sensor
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.build import I2cBuilder
from edge_agent.sensors.i2c.sensor import I2CSensor
from edge_agent.sensors.ld06 import ld06_sensor
from edge_agent.sensors.network import NetworkSensor
from edge_agent.sensors.rplidar import rplidar_sensor
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated_chips.chip import I2C_M_RD, SimulatedAdapter
from edge_agent.sensors.simulated_trackers import TRACKERS as KNOWN
from edge_agent.testing import SensorContract
from edge_agent.types import Chunk, Sensor, SensorHealth, SensorState

QUIET = Disturbance()
CLOCK = SystemClock()

# -- chips -----------------------------------------------------------------------------------------------


def chip(name: str, faults: Faults) -> tuple[I2cBuilder, I2CSensor]:
    builder = I2cBuilder(ManualClock(10**9))
    settings = I2cSensor(kind="i2c", name="chip", chip=name, bus="simulated", faults=faults)
    return builder, builder.make(settings, None)


def first(sensor: Sensor, count: int) -> list[Chunk]:
    return list(itertools.islice(sensor.chunks(threading.Event()), count))


@pytest.mark.parametrize("name", chips.NAMES)
def test_the_noise_of_a_chip_is_in_what_its_driver_gives(name: str):
    """From one sample to the next, of the channel where it shows most."""
    steps = []
    for noise in (0.0, 5.0):
        _, sensor = chip(name, Faults(noise=noise))
        values = np.concatenate([chunk.values for chunk in first(sensor, 12)])
        assert sensor.health.errors == 0
        shown = np.abs(np.diff(values, axis=0))
        steps.append(np.nan_to_num(shown).mean(axis=0))
    assert (steps[1] - steps[0]).max() > 1.0


@pytest.mark.parametrize("name", chips.NAMES)
def test_noise_beyond_all_measure_is_clipped_or_refused(name: str):
    """The simulated chip can say anything; its driver gives that, or an error that says what is wrong."""
    builder, _ = chip(name, Faults(noise=1e7))
    made, clock = chips.chip(name), builder._clock
    driver = made.make(builder._buses["simulated"], made.addresses[0], None, clock.advance)
    for step in (driver.start, *[driver.read] * 8):
        clock.advance(1.0)
        with contextlib.suppress(SensorError):
            step()


class Garbled(SimulatedAdapter):
    """A bus on which all that is read is random, and acknowledged."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = random.Random(seed)

    def i2c_rdwr(self, *messages: smbus2.i2c_msg) -> None:
        for message in messages:
            if message.flags & I2C_M_RD:
                for i, byte in enumerate(self._rng.randbytes(message.len)):
                    message.buf[i] = byte


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("name", chips.NAMES)
def test_whatever_a_chip_says_its_driver_gives_values_or_an_error_of_the_bus(name: str, *, started: bool):
    """Any other exception would end the sensor's thread."""
    made = chips.chip(name)
    for seed in range(6):
        builder, _ = chip(name, Faults())
        bus, clock = builder._buses["simulated"], builder._clock
        driver = made.make(bus, made.addresses[0], None, clock.advance)
        if started:
            driver.start()
        bus.close()
        bus._open_adapter = Garbled(seed).open
        for step in [driver.read] * 40 if started else [driver.start] * 5:
            clock.advance(1.0)
            with contextlib.suppress(OSError):
                reading = step()
                assert reading is None or reading.values.shape[1] == len(driver.channels)


@pytest.mark.parametrize("name", chips.NAMES)
def test_a_chip_that_does_not_acknowledge_costs_retries_and_no_more(name: str):
    builder, sensor = chip(name, Faults(nack_share=0.1))
    assert len(first(sensor, 30)) == 30
    bus = builder._buses["simulated"]
    assert bus.counters.retries > 0


@pytest.mark.parametrize("name", chips.NAMES)
def test_bits_that_flip_end_nothing(name: str):
    """A checksum counts them as errors where the chip has one; where not, a value is wrong."""
    _, sensor = chip(name, Faults(flip_share=0.2))
    assert len(first(sensor, 30)) == 30
    if name in ("d6t", "sht31", "scd41"):
        assert sensor.health.errors > 0


@pytest.mark.parametrize("name", chips.NAMES)
def test_a_chip_that_vanishes_is_offline_and_comes_back(name: str):
    builder, sensor = chip(name, Faults(disconnect_every_s=20.0, disconnect_for_s=6.0))
    bus, states = builder._buses["simulated"], set()
    pause = sensor._clock.advance

    def watched(seconds: float) -> None:
        states.add(sensor.health.state)
        pause(seconds)

    bus._pause = watched
    chunks = sensor.chunks(threading.Event())
    while sensor.health.reconnects < 2:
        next(chunks)
    assert states >= {SensorState.ONLINE, SensorState.OFFLINE}


# -- devices on a port -----------------------------------------------------------------------------------

READERS: dict[str, Callable[[str], Sensor]] = {
    "board": lambda port: SerialBridgeSensor("it", port, {"finger": StreamTarget("it", "")}),
    "gps": lambda port: gps_sensor("it", "", port, clock=CLOCK),
    "ld06": lambda port: ld06_sensor("it", "", port, clock=CLOCK),
    "rplidar": lambda port: rplidar_sensor("it", "", port, clock=CLOCK),
}


@contextmanager
def on_a_port(name: str, folder: Path, faults: Disturbance) -> Iterator[Rig]:
    with (
        simulated_devices.LINKED[name](folder / "port", faults) as device,
        rig(device, READERS[name](str(folder / "port"))) as both,
    ):
        yield both


def health(both: Rig) -> SensorHealth:
    return both.sensor.health


@pytest.mark.parametrize("name", READERS)
def test_noise_is_in_what_a_device_on_a_port_gives(name: str, tmp_path: Path):
    """From one sample to the next; of a place the height, which stays."""
    noise, spreads = {"board": 0.5, "gps": 20.0}.get(name, 0.3), []
    for faults in (QUIET, Disturbance(noise=noise)):
        folder = tmp_path / str(faults.noise)
        folder.mkdir()
        with on_a_port(name, folder, faults) as both:
            both.wait_for(4)
            values = np.concatenate([chunk.values for chunk in both.chunks])
        steps = np.abs(np.diff(values[:, 2] if name == "gps" else values, axis=0))
        spreads.append(float(np.nanmedian(steps)))
    assert spreads[0] < 0.2 * noise < spreads[1]


@pytest.mark.parametrize("name", READERS)
def test_a_device_on_a_port_gets_stuck(name: str, tmp_path: Path):
    with on_a_port(name, tmp_path, Disturbance(stuck_after_s=0.05)) as both:
        both.wait_for(4)
        chunks = both.wait_for(3)
    values = np.concatenate([chunk.values for chunk in chunks])
    if name == "rplidar":  # where a beam is measured in a turn differs from turn to turn
        assert np.nanmedian(np.abs(np.diff(values, axis=0))) < 0.01
    else:
        np.testing.assert_array_equal(values, np.broadcast_to(values[0], values.shape))


@pytest.mark.parametrize("name", READERS)
def test_what_a_device_on_a_port_loses_is_lost_and_what_it_spoils_is_counted(name: str, tmp_path: Path):
    with on_a_port(name, tmp_path, QUIET) as both:
        both.wait_for(2)
        both.device.drop_frames(3)
        wait_for(lambda: both.device.dropped_frames == 3, what="three frames to be lost")
        both.device.spoil_frames(8)
        wait_for(lambda: health(both).errors > 0, what="the errors of eight spoilt frames")
        both.device.garbage(300)
        both.device.unplug()
        wait_for(lambda: health(both).state is SensorState.OFFLINE, what="the loss")
        both.device.plug()
        both.wait_for(2)
        wait_for(lambda: health(both).reconnects == 1, what="the reconnection")


# -- a camera --------------------------------------------------------------------------------------------


@contextmanager
def pictures(folder: Path, faults: Disturbance) -> Iterator[Rig]:
    pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    from edge_agent.sensors.camera import CameraSensor

    with simulated_devices.LINKED["camera"](folder / "pictures", faults) as device:
        eye = CameraSensor(
            "it", "", CLOCK, source=str(folder / "pictures"), width=64, height=48, rate_hz=60.0
        )
        with rig(device, eye) as both:
            yield both


def test_the_pictures_are_what_opencv_reads(tmp_path: Path):
    with pictures(tmp_path, QUIET) as both:
        values = np.concatenate([chunk.values for chunk in both.wait_for(16)]).reshape(-1, 48, 64, 3)
    assert set(np.unique(np.rint(values[:, 0, 0] * 255))) == {30}
    np.testing.assert_allclose(values[:, 20].max(axis=(0, 1)) * 255, [220, 180, 60], atol=0.6)
    assert not (tmp_path / "pictures").exists(), "it goes with the device"


@pytest.mark.parametrize("taken", ["pictures", "pictures.away"])
def test_a_folder_that_is_there_already_is_not_touched(tmp_path: Path, taken: str):
    mine = tmp_path / taken / "mine.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    device = simulated_devices.LINKED["camera"](tmp_path / "pictures", QUIET)
    with pytest.raises(SensorError, match="exists") as caught, device:
        pass
    assert caught.value.hint
    assert mine.read_bytes() == b"mine"


def test_pictures_are_noisy_and_get_stuck(tmp_path: Path):
    with pictures(tmp_path, Disturbance(noise=0.02, stuck_after_s=0.3)) as both:
        corner = np.concatenate([chunk.values for chunk in both.wait_for(8)]).reshape(-1, 48, 64, 3)[:, :16]
        assert 0.01 < corner.std() < 0.05
        wait_for(lambda: _same([chunk.values for chunk in both.wait_for(17)]), what="them to stand still")


def _same(pictures: list[np.ndarray]) -> bool:
    return all(np.array_equal(picture, pictures[0]) for picture in pictures)


def test_pictures_are_lost_spoilt_and_away_and_all_is_well_again(tmp_path: Path):
    with pictures(tmp_path, QUIET) as both:
        both.wait_for(2)
        for fault in (both.device.drop_frames, both.device.spoil_frames):
            had = health(both).errors
            fault(2)
            wait_for(lambda had=had: health(both).errors > had, what="a picture that cannot be read")
        both.device.garbage(100)
        wait_for((tmp_path / "pictures" / "noise.png").exists, what="what is no picture")
        both.device.unplug()
        wait_for(lambda: health(both).state is SensorState.OFFLINE, what="the folder to be away")
        both.device.plug()
        wait_for(lambda: health(both).state is SensorState.ONLINE, what="the folder to be back")
        wait_for(lambda: not (tmp_path / "pictures" / "noise.png").exists(), what="the pictures to heal")
        had, errors = len(both.chunks), health(both).errors
        wait_for(lambda: len(both.chunks) > had + 40, what="two rounds")
        assert health(both).errors - errors <= 2
        assert health(both).lost >= 2


# -- trackers over MQTT ----------------------------------------------------------------------------------


@contextmanager
def tracked(name: str, broker: Mosquitto, faults: Disturbance) -> Iterator[Rig]:
    settings = Mqtt(host="127.0.0.1", port=broker.port)
    device = simulated_devices.tracker(name, settings, "kitchen", faults, None)
    subscribe = Subscription(settings, CLOCK, client_id="it", topic=f"edge/kitchen/in/{name}")
    channels = tuple(map(Channel, KNOWN[name].channels, KNOWN[name].units))
    with rig(device, NetworkSensor("it", "", CLOCK, subscribe, channels=channels)) as both:
        yield both


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_feeds_its_sensor_over_a_real_broker(name: str, broker: Mosquitto):
    with tracked(name, broker, QUIET) as both:
        both.wait_for(10)
        assert (health(both).state, health(both).lost, health(both).errors) == (SensorState.ONLINE, 0, 0)
        times_ns = both.times_ns()
    values = np.concatenate([chunk.values for chunk in both.chunks])
    assert all(chunk.simulated for chunk in both.chunks)
    assert np.isfinite(values).all()
    assert np.ptp(values, axis=0).max() > 0.005
    assert len(times_ns) / ((times_ns[-1] - times_ns[0]) * 1e-9) == pytest.approx(30, rel=0.2)


def test_a_tracker_is_noisy_and_gets_stuck(broker: Mosquitto):
    with tracked("finger", broker, Disturbance(noise=0.2, stuck_after_s=1.5)) as both:
        early = np.concatenate([chunk.values for chunk in both.wait_for(6)])
        assert np.abs(np.diff(early, axis=0)).mean() > 0.1
        wait_for(lambda: _same([chunk.values for chunk in both.wait_for(3)]), what="it to be stuck")


def test_messages_of_a_tracker_are_lost_spoilt_and_silent(broker: Mosquitto):
    with tracked("gaze", broker, QUIET) as both:
        both.wait_for(3)
        both.device.drop_frames(2)
        wait_for(lambda: health(both).lost == 6, what="two messages of three samples to be missed")
        both.device.spoil_frames(1)
        wait_for(lambda: health(both).errors == 1, what="the message that was cut off")
        both.device.garbage(50)
        wait_for(lambda: health(both).errors == 2, what="the one that is none")
        both.device.unplug()
        wait_for(lambda: health(both).state is SensorState.OFFLINE, what="it to fall silent")
        both.device.plug()
        both.wait_for(2)
        assert health(both).state is SensorState.ONLINE


def test_a_tracker_finds_its_broker_again(broker: Mosquitto):
    with tracked("finger", broker, QUIET) as both:
        both.wait_for(2)
        broker.stop()
        wait_for(lambda: health(both).state is SensorState.OFFLINE, what="the loss")
        broker.start()
        both.wait_for(2)


# -- a sound that is invented ----------------------------------------------------------------------------


class Hum:
    """A hundred chunks a second of clock that is moved by hand, of a hundred ones each."""

    name, slot = "sound", "audio"

    def __init__(self, clock: ManualClock) -> None:
        self.health = SensorHealth()
        self._clock = clock

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        self.health.state, self.health.reason = SensorState.ONLINE, "simulated"
        for number in itertools.count():
            if stop.is_set():
                break
            times_ns = self._clock.monotonic_ns() + np.arange(100, dtype=np.int64) * 100_000
            self._clock.advance(0.01)
            self.health.samples += 100
            yield Chunk(self.name, times_ns, np.full((100, 1), 1 + number, np.float32), simulated=True)
        self.health.state, self.health.reason = SensorState.OFFLINE, "stopped"


def hum(**faults: float) -> FaultySensor:
    clock = ManualClock(10**9)
    return FaultySensor(Hum(clock), SignalFaults(**faults), clock)


class TestFaultySoundContract(SensorContract):
    channels = {"sound": 1}  # noqa: RUF012
    simulated = True

    @pytest.fixture
    def sensor(self):
        return hum(noise=0.1, drop_share=0.2)


def test_the_noise_of_a_sound_and_its_being_stuck():
    chunks = first(hum(noise=0.5, stuck_after_s=0.3), 60)
    noise = np.concatenate([chunk.values - (1 + i) for i, chunk in enumerate(chunks[:30])])
    assert noise.std() == pytest.approx(0.5, rel=0.05)
    assert abs(noise.mean()) < 0.05
    assert len(np.unique(np.concatenate([chunk.values for chunk in chunks[31:]]))) == 1
    assert all(chunk.values.dtype == np.float32 for chunk in chunks)


def test_chunks_of_a_sound_that_are_lost_are_counted():
    sensor = hum(drop_share=0.3)
    chunks = first(sensor, 200)
    lost = sum(chunk.lost for chunk in chunks)
    assert lost / (lost + 200 * 100) == pytest.approx(0.3, abs=0.06)
    assert (sensor.health.lost, sensor.health.samples) == (lost, 200 * 100)


def test_a_sound_that_vanishes_and_comes_back():
    sensor, gaps, states = hum(disconnect_every_s=1.0, disconnect_for_s=0.5), [], []
    last_ns = None
    for chunk in itertools.islice(sensor.chunks(threading.Event()), 250):
        if last_ns is not None and chunk.times_ns[0] - last_ns > 10**8:
            gaps.append((chunk.times_ns[0] - last_ns) * 1e-9)
            states.append(sensor.health.state)
        last_ns = chunk.times_ns[-1]
    assert gaps == pytest.approx([0.5, 0.5], abs=0.03)
    assert states == [SensorState.ONLINE] * 2
    assert sensor.health.reconnects == 2


def test_every_name_can_be_made():
    assert set(LINKED) == set(simulated_devices.LINKED)
    assert set(TRACKERS) == set(KNOWN)
