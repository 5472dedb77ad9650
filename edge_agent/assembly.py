"""From a configuration to the parts of an agent. What cannot work is refused here, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent import config as settings
from edge_agent import manifest as manifests
from edge_agent.clock import PacingClock
from edge_agent.config import Config
from edge_agent.config_errors import nearest
from edge_agent.delivery import mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.payloads import ModelId
from edge_agent.delivery.topics import Topics
from edge_agent.errors import ConfigurationError, DeliveryError
from edge_agent.manifest import Manifest, Slot
from edge_agent.perception.answer import Answers
from edge_agent.perception.client import LanguageClient
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.worker import settings_from
from edge_agent.types import Sensor, SensorHealth
from edge_agent.windows import Windows

SensorFactory = Callable[[Config, Manifest, PacingClock], list[Sensor]]
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 30.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that an agent is made of; nothing runs yet."""

    config: Config
    clock: PacingClock
    topics: Topics
    model: ModelId
    pipeline: Pipeline
    windows: Windows
    language: LanguageClient
    sensors: list[Sensor]

    @property
    def manifest(self) -> Manifest:
        """What the model promises."""
        return self.pipeline.manifest


def assemble(config: Config, clock: PacingClock, make: SensorFactory | None = None) -> Parts:
    """Load the model and make the sensors. Raises ConfigurationError or ModelError."""
    check(config)
    pipeline = Pipeline(config.model.path)
    manifest = pipeline.manifest
    cut = config.windows
    return Parts(
        config=config,
        clock=clock,
        topics=Topics(config.mqtt.topic_root, config.node.name),
        model=model_id(config.model.path, manifest),
        pipeline=pipeline,
        windows=Windows(
            manifest.slots,
            config.sources,
            hop_s=cut.hop_s,
            max_gap_s=cut.max_gap_s,
            min_coverage=cut.min_coverage,
            settle_s=cut.settle_s,
        ),
        language=LanguageClient(
            settings_from(
                config.model.path,
                manifest,
                threads=config.model.threads,
                memory_mib=config.model.language_memory_mib,
            ),
            Answers(manifest, set(config.sources.values())),
            clock,
            FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S),
        ),
        sensors=(make or make_sensors)(config, manifest, clock),
    )


def check(config: Config) -> Manifest:
    """Check what can be checked without loading: slots, recordings, broker settings, manifest.

    Raises ConfigurationError or ModelError.
    """
    manifest = manifests.read(config.model.path)
    known = [slot.name for slot in manifest.slots]
    for i, sensor in enumerate(config.sensors):
        for slot in sensor.sources.values():
            if slot not in known:
                guess = nearest(slot, known)
                raise ConfigurationError(
                    f'sensor.{i} (sensor "{sensor.name}"): the model {manifest.name} has no slot "{slot}"'
                    + (f'; did you mean "{guess}"?' if guess else ""),
                    key=f"sensor.{i}.slot",
                    hint=f"its slots are {', '.join(known)}",
                )
        if isinstance(sensor, settings.ReplaySensor):
            _check_files(i, sensor)
    mqtt.check(config.mqtt)
    return manifest


def _check_files(i: int, sensor: settings.ReplaySensor) -> None:
    for path in sensor.files:
        if not path.is_file():
            raise ConfigurationError(
                f'sensor.{i}.files (sensor "{sensor.name}"): no recording at {path}',
                key=f"sensor.{i}.files",
                hint="relative paths are taken from the folder of the configuration file",
            )


def model_id(folder: Path, manifest: Manifest) -> ModelId:
    """Name, version and the hash of the manifest, which holds the hash of every file."""
    return ModelId(manifest.name, manifest.version, manifests.sha256_of(folder / manifests.MANIFEST_NAME))


def healths_of(sensor: Sensor) -> Mapping[str, SensorHealth]:
    """Chunk.sensor -> its health: one for most, one for each stream of a board."""
    healths = getattr(sensor, "healths", None)
    return healths if isinstance(healths, Mapping) else {sensor.name: sensor.health}


def is_simulated(config: Config) -> dict[str, bool]:
    """Chunk.sensor -> whether the configuration says that it is invented."""
    return {
        name: isinstance(sensor, settings.SimulatedSensor)
        or (isinstance(sensor, settings.SerialSensor) and sensor.simulated)
        for sensor in config.sensors
        for name in sensor.sources
    }


def make_sensors(config: Config, manifest: Manifest, clock: PacingClock) -> list[Sensor]:
    """The sensors of the configuration. Raises ConfigurationError where one cannot be made."""
    return [_make(sensor, manifest, clock) for sensor in config.sensors]


def _make(sensor: settings.SensorSettings, manifest: Manifest, clock: PacingClock) -> Sensor:
    """One sensor; its driver is imported only where the configuration names it."""
    slots = {slot.name: slot for slot in manifest.slots}
    match sensor:
        case settings.SerialSensor():
            return _make_serial(sensor, slots, clock)
        case settings.ReplaySensor():
            from edge_agent.sensors.replay import ReplaySensor  # noqa: PLC0415

            return ReplaySensor(
                sensor.name,
                sensor.slot,
                sensor.files,
                clock,
                loop=sensor.loop,
                speed=sensor.speed,
                sound_rate_hz=slots[sensor.slot].rate_hz,
            )
        case settings.MicrophoneSensor():
            return _make_microphone(sensor, slots[sensor.slot], clock)
        case settings.SimulatedSensor():
            from edge_agent.sensors.simulated import SimulatedSensor  # noqa: PLC0415

            return SimulatedSensor(
                sensor.name,
                sensor.slot,
                modality=slots[sensor.slot].modality,
                placement=slots[sensor.slot].placement,
                label=sensor.label,
                period_s=sensor.period_s,
                monotonic_ns=clock.monotonic_ns,
            )


def _make_microphone(sensor: settings.MicrophoneSensor, slot: Slot, clock: PacingClock) -> Sensor:
    from edge_agent.sensors.microphone import MicrophoneSensor  # noqa: PLC0415

    return MicrophoneSensor(
        sensor.name,
        sensor.slot,
        clock,
        device=sensor.device,
        rate_hz=sensor.rate_hz,
        slot_rate_hz=round(slot.rate_hz),
    )


def _make_serial(sensor: settings.SerialSensor, slots: Mapping[str, Slot], clock: PacingClock) -> Sensor:
    from edge_agent.sensors.bridge import StreamTarget  # noqa: PLC0415
    from edge_agent.sensors.serial import SerialBridgeSensor  # noqa: PLC0415

    targets = {
        key: StreamTarget(
            stream.name or key, stream.slot, slots[stream.slot].channels, slots[stream.slot].units
        )
        for key, stream in sensor.streams.items()
    }
    return SerialBridgeSensor(
        sensor.name,
        sensor.port,
        targets,
        baud_rate=sensor.baud_rate,
        simulated=sensor.simulated,
        monotonic_ns=clock.monotonic_ns,
    )


def absences(config: Config) -> Iterator[str]:
    """What is not there now and need not be: the agent waits for it and says so."""
    for sensor in config.sensors:
        if isinstance(sensor, settings.SerialSensor) and not Path(sensor.port).exists():
            yield f'sensor "{sensor.name}": {sensor.port} is not there now; the agent will wait for it'
    probe = mqtt.Connection(config.mqtt, client_id=f"edge-check-{config.node.name}")
    try:
        probe.open()
        probe.await_consent(lambda: False)
    except DeliveryError as error:
        yield f"{error}; the agent will try again until it is there" + (
            f" ({error.hint})" if error.hint else ""
        )
    finally:
        probe.close()
