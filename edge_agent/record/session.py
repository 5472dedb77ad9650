"""Records the sensors of a configuration, without perceiving anything: `edge-agent record`.

Threads: one for each sensor, one for the recorder; the caller's watches. The sensors end first, so that the
recorder has everything that they gave.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from edge_agent import __version__
from edge_agent.assembly import healths_of, is_simulated
from edge_agent.clock import NS_PER_S
from edge_agent.config import Config
from edge_agent.config_sensors import CameraSensor, GpsSensor, I2cSensor, LidarSensor, SensorSettings
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import Manifest
from edge_agent.record.encoding import RecordingError, Source
from edge_agent.record.mcap_file import Header
from edge_agent.record.recorder import Progress, Recorder
from edge_agent.sensors.channels import Channel, channels_of
from edge_agent.sensors.i2c import chips
from edge_agent.stages import Acquisition
from edge_agent.threads import begin, join
from edge_agent.types import Chunk, Clock, Sensor, SensorHealth

TICK_S = 0.25
STOP_S = 1.0
"""For the sensors to end."""
LAST_WRITE_S = 30.0
"""For the recorder to write what is waiting and to bring it to a slow disk."""


class Tapped:
    """A sensor whose chunks somebody else sees as well. Otherwise it is the sensor."""

    def __init__(self, sensor: Sensor, tap: Callable[[Chunk], None]) -> None:
        self.name = sensor.name
        self.slot = sensor.slot
        self.health = sensor.health
        self._sensor = sensor
        self._tap = tap

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor."""
        for chunk in self._sensor.chunks(stop):
            self._tap(chunk)
            yield chunk

    @property
    def healths(self) -> Mapping[str, SensorHealth]:
        """As of the sensor itself."""
        return healths_of(self._sensor)

    @property
    def channels(self) -> Mapping[str, tuple[Channel, ...]]:
        """As of the sensor itself."""
        return channels_of(self._sensor)


def header(config: Config, clock: Clock) -> Header:
    """What is known at the start of a recording that begins now."""
    return Header(
        node=config.node.name,
        version=__version__,
        model=config.model.path.name,
        start_ns=clock.monotonic_ns(),
        start_wall_ns=clock.wall_ns(),
        windows=config.windows.model_dump(),
        sensors=config.sources,
    )


def describer(config: Config, manifest: Manifest, sensors: Sequence[Sensor]) -> Callable[[Chunk], Source]:
    """What tells of a chunk's sensor what it is: its slot's channels, or else those that its driver knows."""
    slots = {slot.name: slot for slot in manifest.slots}
    tables = {name: table for table in config.sensors for name in table.sources}
    invented = is_simulated(config)

    def describe(chunk: Chunk) -> Source:
        name = chunk.sensor
        simulated = chunk.simulated or invented.get(name, False)
        if (slot := slots.get(config.sources.get(name, ""))) is not None:
            channels = tuple(map(Channel, slot.channels, slot.unit_of_each))
            return Source(name, slot.name, slot.modality, channels, simulated)
        known = next((found[name] for sensor in sensors if name in (found := channels_of(sensor))), ())
        modality = _modality(tables[name]) if name in tables else ""
        return Source(name, "", modality, tuple(known), simulated)

    return describe


def _modality(table: SensorSettings) -> str:
    """Of a sensor that fills no slot; "" where only its maker knows."""
    if isinstance(table, I2cSensor):
        return chips.chip(table.chip).modality
    return table.kind if isinstance(table, GpsSensor | LidarSensor | CameraSensor) else ""


class Session:
    """Runs sensors into a recorder until told to stop."""

    def __init__(self, sensors: Sequence[Sensor], recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._fatal: ConfigurationError | None = None
        self._sources = [Acquisition(Tapped(s, recorder.take), clock, self._give_up) for s in sensors]

    def _give_up(self, error: ConfigurationError) -> None:
        self._fatal = error

    def run(self, stop: threading.Event, duration_s: float, show: Callable[[Progress], None]) -> Progress:
        """Record until `stop`, for `duration_s` (inf: no limit), or until every sensor has come to its end.

        `show` is called at every tick. Raises ConfigurationError where a sensor cannot work as configured,
        RecordingError where the disk takes no more or a thread does not end.
        """
        ended = threading.Event()
        sensing = [begin(source.name, source.run, ended) for source in self._sources]
        recording = begin(self._recorder.name, self._recorder.run)
        try:
            end_ns = self._clock.monotonic_ns() + duration_s * NS_PER_S
            while not (stop.wait(TICK_S) or self._over(end_ns)):
                for source in self._sources:
                    source.chunks.take_all()  # nobody perceives them here
                show(self._recorder.progress)
        finally:
            ended.set()
            alive = join(sensing, STOP_S)
            recording.stop.set()
            alive += join([recording], LAST_WRITE_S)
        if self._fatal is not None:
            raise self._fatal
        if self._recorder.error:
            raise RecordingError(self._recorder.error, hint="what was written until then can be replayed")
        if alive:
            raise RecordingError(f"did not end in time: {', '.join(alive)}")
        return self._recorder.progress

    def _over(self, end_ns: float) -> bool:
        if self._fatal is not None or self._recorder.error:
            return True
        return self._clock.monotonic_ns() >= end_ns or all(source.finished for source in self._sources)
