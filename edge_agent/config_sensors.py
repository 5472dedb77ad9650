"""The `[[sensor]]` tables of the configuration: one class for each kind, unit and default at the field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge_agent.config_types import FilePath, Frozen, Name, Topic


class Stream(Frozen):
    """One stream of a microcontroller."""

    slot: str = Field("", description="slot of the model; default: none, it is measured but not perceived")
    name: Name | None = Field(None, description="name in topics; default: the stream's name on the device")


class _Sensor(Frozen):
    """What every kind says of itself."""

    muted: bool = Field(False, description="true: its device stays closed until it is told otherwise")

    @property
    def invented(self) -> bool:
        """Whether what it gives is invented, as far as the configuration tells."""
        return bool(getattr(self, "simulated", False))

    @property
    def devices(self) -> tuple[str, ...]:
        """The device files that must be there for the sensor to give anything."""
        port: str | None = getattr(self, "port", None)
        return (port,) if port else ()


class SerialSensor(_Sensor):
    """A microcontroller that speaks the protocol of firmware_bridge/PROTOCOL.md."""

    kind: Literal["serial"]
    name: Name = Field(description="name of the board")
    port: str = Field(min_length=1, description="device file, for example /dev/ttyACM0")
    baud_rate: int = Field(921_600, ge=1200, le=12_000_000, description="bits per second")
    streams: dict[Name, Stream] = Field(min_length=1, description="device stream name -> slot")
    simulated: bool = Field(False, description="true: mark everything from this port as simulated")

    @model_validator(mode="after")
    def _names_differ(self) -> SerialSensor:
        if len(self.sources) != len(self.streams):
            raise ValueError("two streams have the same name")
        return self

    @property
    def sources(self) -> dict[str, str]:
        """Chunk.sensor -> slot."""
        return {stream.name or key: stream.slot for key, stream in self.streams.items()}


class _One(_Sensor):
    name: Name = Field(description="name in topics")
    slot: str = Field("", description="slot of the model; default: none, it is measured but not perceived")

    @property
    def sources(self) -> dict[str, str]:
        """Chunk.sensor -> slot."""
        return {self.name: self.slot}


class _OneSlot(_One):
    slot: str = Field(min_length=1, description="slot of the model")


class ReplaySensor(_OneSlot):
    """Recorded files, played in real time."""

    kind: Literal["replay"]
    files: tuple[FilePath, ...] = Field(min_length=1, description="recordings, played one after the other")
    loop: bool = Field(True, description="begin again after the last file")
    speed: float = Field(
        1.0, gt=0, le=100, description="times real time, as a tape played faster: signals change with it"
    )


class MicrophoneSensor(_One):
    """A microphone through PortAudio. Without a slot it is listened to for questions alone ([voice])."""

    kind: Literal["microphone"]
    device: str | None = Field(None, min_length=1, description="part of its name; default: the system's")
    rate_hz: int = Field(
        16_000, ge=8000, le=192_000, description="rate the device is opened at; resampled to the slot's rate"
    )


class Disturbance(Frozen):
    """What goes wrong with whatever is simulated; default: nothing."""

    noise: float = Field(0.0, ge=0, description="standard deviation added to what it measures, in its units")
    stuck_after_s: float = Field(0.0, ge=0, description="from then on it measures the same; 0: never")
    disconnect_every_s: float = Field(0.0, ge=0, description="it vanishes so often; 0: never")
    disconnect_for_s: float = Field(1.0, gt=0, description="and comes back after so long")

    def away(self, seconds: float) -> bool:
        """Whether it has vanished, so long after its beginning."""
        period_s = self.disconnect_every_s + self.disconnect_for_s
        return self.disconnect_every_s > 0 and seconds % period_s > self.disconnect_every_s


class SignalFaults(Disturbance):
    """Of an invented signal."""

    drop_share: float = Field(0.0, ge=0, le=1, description="share of chunks that are lost")


class SimulatedSensor(_OneSlot):
    """An invented signal, marked as simulated in everything that comes of it."""

    kind: Literal["simulated"]
    label: str | None = Field(None, min_length=1, description="what to imitate; default: each label in turn")
    period_s: float = Field(6.0, ge=0.5, le=3600, description="seconds of each label when they take turns")
    faults: SignalFaults = Field(default_factory=SignalFaults, description="what goes wrong with it")

    @property
    def invented(self) -> bool:
        """Always."""
        return True


class Faults(Disturbance):
    """Of a simulated chip."""

    nack_share: float = Field(0.0, ge=0, le=1, description="share of transactions not acknowledged")
    flip_share: float = Field(0.0, ge=0, le=1, description="share of reads in which one bit is wrong")


class I2cSensor(_One):
    """A chip on an I2C bus, real or simulated."""

    kind: Literal["i2c"]
    chip: str = Field(min_length=1, description="name of the chip, for example mpu6050")
    bus: int | str = Field(1, description='number or path of the bus, or "simulated"')
    address: int | None = Field(None, ge=0x08, le=0x77, description="its address; default: the usual one")
    rate_hz: float | None = Field(None, gt=0, le=8000, description="samples a second; default: the usual")
    recording: FilePath | None = Field(None, description="what a simulated chip measures; default: its own")
    faults: Faults = Field(default_factory=Faults, description="what goes wrong with a simulated chip")

    @model_validator(mode="after")
    def _only_where_simulated(self) -> I2cSensor:
        if (self.recording is not None or self.faults != Faults()) and self.bus != "simulated":
            raise ValueError('recording and faults are for bus = "simulated"; a real chip has its own')
        return self

    @property
    def invented(self) -> bool:
        """Whether the chip is a simulated one."""
        return self.bus == "simulated"

    @property
    def devices(self) -> tuple[str, ...]:
        """The bus, if it is a real one."""
        if self.invented:
            return ()
        return (f"/dev/i2c-{self.bus}" if isinstance(self.bus, int) else self.bus,)


class GpsSensor(_One):
    """A receiver that speaks NMEA 0183."""

    kind: Literal["gps"]
    port: str = Field(min_length=1, description="device file, for example /dev/ttyUSB0")
    baud_rate: int = Field(9600, ge=1200, le=12_000_000, description="bits per second")
    simulated: bool = Field(False, description="true: mark everything from this port as simulated")


class LidarSensor(_One):
    """A turning laser scanner on a serial port."""

    kind: Literal["lidar"]
    model: Literal["ld06", "ld19", "rplidar_a1"] = Field(description="ld06, ld19 or rplidar_a1")
    port: str = Field(min_length=1, description="device file, for example /dev/ttyUSB0")
    baud_rate: int | None = Field(None, ge=1200, le=12_000_000, description="default: the model's usual")
    simulated: bool = Field(False, description="true: mark everything from this port as simulated")


class CameraSensor(_One):
    """A camera (V4L2), a video file, or a folder of images, through OpenCV."""

    kind: Literal["camera"]
    source: int | str = Field(description="number or /dev/video path of a camera, a video file or a folder")
    width: int | None = Field(
        None, ge=8, le=1920, description="pixels, after resizing; default: the slot's, or 160"
    )
    height: int | None = Field(
        None, ge=8, le=1080, description="pixels, after resizing; default: the slot's, or 120"
    )
    rate_hz: float | None = Field(
        None, gt=0, le=120, description="frames a second; default: the slot's, or 10"
    )
    loop: bool = Field(True, description="begin a file or folder again at its end")
    simulated: bool = Field(False, description="true: mark every frame as simulated")


class PluginSensor(_One):
    """A sensor of another package, which names it by the entry point group `edge_agent.sensors`."""

    kind: Literal["plugin"]
    plugin: Name = Field(description="its name in the entry point group edge_agent.sensors")
    options: dict[str, str | int | float | bool] = Field({}, description="handed to it as they are")


class NetworkSensor(_One):
    """Samples that another machine publishes over MQTT: an eye tracker, a pose estimator (docs/mqtt.md)."""

    kind: Literal["network"]
    channels: dict[Name, str] = Field(
        {}, max_length=256, description="channel -> unit, in order; default: those of the slot"
    )
    topic: Topic | None = Field(None, description="default: <root>/<node>/in/<name>")
    max_rate_hz: float = Field(200.0, gt=0, le=10_000, description="more samples a second are refused")

    @model_validator(mode="after")
    def _some_channels(self) -> NetworkSensor:
        if not (self.channels or self.slot):
            raise ValueError("channels are missing: name them, or a slot that has them")
        return self


SensorSettings = Annotated[
    SerialSensor
    | ReplaySensor
    | MicrophoneSensor
    | SimulatedSensor
    | I2cSensor
    | GpsSensor
    | LidarSensor
    | CameraSensor
    | NetworkSensor
    | PluginSensor,
    Field(discriminator="kind"),
]
