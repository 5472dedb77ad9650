"""From `[[sensor]]` tables to sensors. Nothing is opened here; a driver is imported only where it is named.

Chips on one I2C bus share one `I2CBus`. `bus = "simulated"` is a bus of its own, on which every chip that
is named there really is (`simulated_chips/`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from edge_agent import config_sensors as settings
from edge_agent.clock import PacingClock
from edge_agent.config_errors import nearest
from edge_agent.config_sensors import SensorSettings
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import Manifest, Slot
from edge_agent.sensors.channels import Channel, channels_of, fit, listed
from edge_agent.sensors.fitted import FittedSensor
from edge_agent.sensors.i2c.build import I2cBuilder
from edge_agent.sensors.network import Subscribe
from edge_agent.types import Sensor

PLUGINS = "edge_agent.sensors"
"""The entry point group of third-party sensors."""
CAMERA_PICTURE, CAMERA_RATE_HZ = (160, 120), 10.0
"""Width and height, and frames a second, of a camera that fills no slot."""

SPEECH_HZ = 16_000
"""Of a microphone that fills no slot."""


class SensorFactory:
    """Makes the sensors of one configuration. `subscribe` gives what comes in for a sensor, on a topic."""

    def __init__(
        self, manifest: Manifest, clock: PacingClock, subscribe: Callable[[str, str | None], Subscribe]
    ) -> None:
        self._model = manifest.name
        self._slots = {slot.name: slot for slot in manifest.slots}
        self._clock = clock
        self._subscribe = subscribe
        self._i2c = I2cBuilder(clock)
        self._shared: set[str] = set()
        """The slots that several sensors fill."""

    def make_all(self, sensors: tuple[SensorSettings, ...]) -> list[Sensor]:
        """Every sensor, in order. Raises ConfigurationError whose key names the table and the setting."""
        made = []
        self._shared = {slot for slot, number in _sources_of_slots(sensors).items() if number > 1}
        first: dict[str, str] = {}
        for i, sensor in enumerate(sensors):
            try:
                self._check_slots(sensor, first)
                made.append(self._make(sensor))
            except ConfigurationError as error:
                key = f"sensor.{i}.{error.key}" if error.key else f"sensor.{i}"
                raise ConfigurationError(
                    f'{key} (sensor "{sensor.name}"): {error}', key=key, hint=error.hint
                ) from error
        return made

    def _check_slots(self, sensor: SensorSettings, first: dict[str, str]) -> None:
        """The slots exist, and only one that takes each channel's latest number has more than one source."""
        for name, slot in sensor.sources.items():
            if not slot:
                continue
            if slot not in self._slots:
                guess = nearest(slot, self._slots)
                raise ConfigurationError(
                    f'the model {self._model} has no slot "{slot}"'
                    + (f'; did you mean "{guess}"?' if guess else ""),
                    key="slot",
                    hint=f"its slots are {', '.join(self._slots)}",
                )
            other = first.setdefault(slot, name)
            if other != name and self._slots[slot].sampling != "latest":
                raise ConfigurationError(
                    f'"{other}" and "{name}" both fill the slot "{slot}"', key="slot",
                    hint="this slot has one source; remove one of the two, or its slot",
                )  # fmt: skip

    def _make(self, sensor: SensorSettings) -> Sensor:
        makers: dict[type, Callable[[Any], Sensor]] = {
            settings.SerialSensor: self._serial,
            settings.ReplaySensor: self._replay,
            settings.MicrophoneSensor: self._microphone,
            settings.SimulatedSensor: self._simulated,
            settings.I2cSensor: self._chip,
            settings.GpsSensor: self._line,
            settings.LidarSensor: self._line,
            settings.CameraSensor: self._camera,
            settings.NetworkSensor: self._network,
            settings.PluginSensor: self._plugin,
        }
        return makers[type(sensor)](sensor)

    def _chip(self, sensor: settings.I2cSensor) -> Sensor:
        return self._i2c.make(sensor, self._slots.get(sensor.slot), shares=sensor.slot in self._shared)

    def _serial(self, sensor: settings.SerialSensor) -> Sensor:
        from edge_agent.sensors.bridge import StreamTarget  # noqa: PLC0415
        from edge_agent.sensors.serial import SerialBridgeSensor  # noqa: PLC0415

        targets = {}
        for key, stream in sensor.streams.items():
            slot = self._slots.get(stream.slot)
            wanted = (slot.channels, slot.unit_of_each) if slot else ((), ())
            targets[key] = StreamTarget(stream.name or key, stream.slot, *wanted)
        return SerialBridgeSensor(
            sensor.name,
            sensor.port,
            targets,
            baud_rate=sensor.baud_rate,
            simulated=sensor.simulated,
            monotonic_ns=self._clock.monotonic_ns,
        )

    def _replay(self, sensor: settings.ReplaySensor) -> Sensor:
        from edge_agent.sensors.replay import ReplaySensor  # noqa: PLC0415

        for path in sensor.files:
            _check_file(path, "files")
        return ReplaySensor(
            sensor.name,
            sensor.slot,
            sensor.files,
            self._clock,
            loop=sensor.loop,
            speed=sensor.speed,
            sound_rate_hz=self._slots[sensor.slot].rate_hz,
        )

    def _microphone(self, sensor: settings.MicrophoneSensor) -> Sensor:
        from edge_agent.sensors.microphone import MicrophoneSensor  # noqa: PLC0415

        slot = self._slots.get(sensor.slot)
        return MicrophoneSensor(
            sensor.name,
            sensor.slot,
            self._clock,
            device=sensor.device,
            rate_hz=sensor.rate_hz,
            slot_rate_hz=SPEECH_HZ if slot is None else round(slot.rate_hz),
        )

    def _simulated(self, sensor: settings.SimulatedSensor) -> Sensor:
        from edge_agent.sensors.faulty import FaultySensor  # noqa: PLC0415
        from edge_agent.sensors.simulated import SimulatedSensor  # noqa: PLC0415

        slot = self._slots[sensor.slot]
        made = SimulatedSensor(
            sensor.name,
            sensor.slot,
            modality=slot.modality,
            placement=slot.placement,
            label=sensor.label,
            period_s=sensor.period_s,
            monotonic_ns=self._clock.monotonic_ns,
        )
        flawless = sensor.faults == settings.SignalFaults()
        return made if flawless else FaultySensor(made, sensor.faults, self._clock)

    def _line(self, sensor: settings.GpsSensor | settings.LidarSensor) -> Sensor:
        """A device that speaks its own protocol on a serial line."""
        from edge_agent.sensors.gps import gps_sensor  # noqa: PLC0415
        from edge_agent.sensors.ld06 import ld06_sensor  # noqa: PLC0415
        from edge_agent.sensors.rplidar import rplidar_sensor  # noqa: PLC0415

        makers = {"ld06": ld06_sensor, "ld19": ld06_sensor, "rplidar_a1": rplidar_sensor}
        make = makers[sensor.model] if isinstance(sensor, settings.LidarSensor) else gps_sensor
        given = {} if sensor.baud_rate is None else {"baud_rate": sensor.baud_rate}
        made = make(
            sensor.name, sensor.slot, sensor.port, simulated=sensor.simulated, clock=self._clock, **given
        )
        return self._fitting(made, sensor.slot)

    def _camera(self, sensor: settings.CameraSensor) -> Sensor:
        from edge_agent.sensors.camera import CameraSensor  # noqa: PLC0415

        slot = self._slots.get(sensor.slot)
        width, height = (slot and slot.picture) or CAMERA_PICTURE
        width, height = sensor.width or width, sensor.height or height
        if slot is not None:
            _check_picture(slot, width, height)
        return CameraSensor(
            sensor.name,
            sensor.slot,
            self._clock,
            source=sensor.source,
            width=width,
            height=height,
            rate_hz=sensor.rate_hz or (slot.rate_hz if slot else CAMERA_RATE_HZ),
            loop=sensor.loop,
            simulated=sensor.simulated,
        )

    def _network(self, sensor: settings.NetworkSensor) -> Sensor:
        from edge_agent.sensors.network import NetworkSensor  # noqa: PLC0415

        channels = tuple(Channel(name, unit) for name, unit in sensor.channels.items())
        if not channels:
            slot = self._slots[sensor.slot]
            channels = tuple(map(Channel, slot.channels, slot.unit_of_each))
        made = NetworkSensor(
            sensor.name,
            sensor.slot,
            self._clock,
            self._subscribe(sensor.name, sensor.topic),
            channels=channels,
            max_rate_hz=sensor.max_rate_hz,
        )
        return self._fitting(made, sensor.slot)

    def _plugin(self, sensor: settings.PluginSensor) -> Sensor:
        """A third party's: its entry point is called as make(name=, slot=, clock=, **options)."""
        found = entry_points(group=PLUGINS)
        if sensor.plugin not in found.names:
            known = ", ".join(sorted(found.names)) or "none"
            raise ConfigurationError(
                f'no plug-in "{sensor.plugin}" is installed', key="plugin",
                hint=f"installed for {PLUGINS}: {known}; a plug-in is a Python package (docs/plugins.md)",
            )  # fmt: skip
        make: Callable[..., Sensor] = found[sensor.plugin].load()
        try:
            made = make(name=sensor.name, slot=sensor.slot, clock=self._clock, **sensor.options)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{sensor.plugin} does not take these options: {error}", key="options"
            ) from error
        return self._fitting(made, sensor.slot)

    def _fitting(self, sensor: Sensor, slot: str) -> Sensor:
        """The sensor with the channels of its slot; it must have all of them, or share the slot."""
        if not slot:
            return sensor
        have, wanted = channels_of(sensor)[sensor.name], self._slots[slot]
        try:
            fitted = fit(have, wanted.channels, wanted.unit_of_each)
        except ValueError as error:
            raise ConfigurationError(f"it cannot fill the slot {slot}: {error}", key="slot") from error
        if fitted.missing and wanted.sampling != "latest":
            raise ConfigurationError(
                f"it lacks what the slot {slot} needs: {listed(fitted.missing)}", key="slot",
                hint=f"it has {listed([channel.name for channel in have])}",
            )  # fmt: skip
        return (
            sensor if fitted.unchanged and len(have) == len(fitted.channels) else FittedSensor(sensor, fitted)
        )


def _sources_of_slots(sensors: tuple[SensorSettings, ...]) -> Counter[str]:
    return Counter(slot for sensor in sensors for slot in sensor.sources.values() if slot)


def _check_picture(slot: Slot, width: int, height: int) -> None:
    """A camera fills its slot with pictures of the very size that the slot's encoder takes."""
    if slot.picture is None and 3 * width * height == len(slot.channels):
        return
    if (width, height) != slot.picture:
        size = f"{slot.picture[0]} x {slot.picture[1]} pixels" if slot.picture else "no pictures of that size"
        raise ConfigurationError(
            f"it gives {width} x {height} pixels; the slot {slot.name} wants {size}", key="width",
            hint="leave width and height out: they are then the slot's",
        )  # fmt: skip


def _check_file(path: Path, key: str) -> None:
    if not path.is_file():
        raise ConfigurationError(
            f"no recording at {path}",
            key=key,
            hint="relative paths are taken from the folder of the configuration file",
        )
