"""From a configuration to the parts of an agent. What cannot work is refused here, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent import manifest as manifests
from edge_agent.clock import NS_PER_S, PacingClock, SystemClock
from edge_agent.config import Config, Mqtt
from edge_agent.delivery import tls
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Kind
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.payloads import ModelId
from edge_agent.delivery.room import Limits
from edge_agent.delivery.sparkplug import messages as sparkplug
from edge_agent.delivery.sparkplug.servers import Servers
from edge_agent.delivery.subscription import Subscription
from edge_agent.delivery.topics import Topics
from edge_agent.errors import DeliveryError
from edge_agent.manifest import Manifest
from edge_agent.memory.clock_words import local_zone
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.queries import Queries
from edge_agent.memory.recall import Recall
from edge_agent.memory.spells import JOIN_S, Hold
from edge_agent.memory.store import MAX_GAP_S, Bounds, Store
from edge_agent.perception import taught
from edge_agent.perception.client import LanguageClient
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.taught_answers import answers
from edge_agent.perception.worker import settings_from
from edge_agent.sensors.factory import SensorFactory
from edge_agent.sensors.network import Subscribe
from edge_agent.types import Clock, Sensor, SensorHealth
from edge_agent.voice import requirements
from edge_agent.windows import Windows

MakeSensors = Callable[[Config, Manifest, PacingClock], list[Sensor]]
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
    memory: Store | None = None
    recall: Recall | None = None

    @property
    def manifest(self) -> Manifest:
        """What the model promises."""
        return self.pipeline.manifest


def assemble(config: Config, clock: PacingClock, make: MakeSensors | None = None) -> Parts:
    """Load the model and make the sensors. Raises ConfigurationError or ModelError."""
    learned = taught.load(config.taught, check(config))
    perceived = set(config.perceived.values())
    pipeline = Pipeline(config.model.path, configured=perceived, taught=learned)
    manifest = pipeline.manifest
    store = make_store(config, clock)
    return Parts(
        config=config,
        clock=clock,
        topics=Topics(config.mqtt.topic_root, config.node.name),
        model=model_id(config.model.path, manifest),
        pipeline=pipeline,
        windows=make_windows(config, manifest, config.perceived),
        language=LanguageClient(
            settings_from(
                config.model.path,
                manifest,
                threads=config.model.threads,
                memory_mib=config.model.language_memory_mib,
            ),
            answers(manifest, perceived, learned),
            clock,
            FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S),
        ),
        sensors=(make or make_sensors)(config, manifest, clock),
        memory=store,
        recall=None if store is None else make_recall(config, manifest, store, clock),
    )


def make_store(config: Config, clock: PacingClock) -> Store | None:
    """The memory of this run; None where nothing is to be remembered. Raises ConfigurationError."""
    if not config.memory.enabled:
        return None
    bounds = Bounds(config.memory.keep_days, config.memory.max_bytes)
    return Store(config.memory_path, clock, bounds, max(MAX_GAP_S, 3 * config.windows.hop_s))


def make_recall(config: Config, manifest: Manifest, store: Store, clock: PacingClock) -> Recall:
    """What answers questions about the past; a spell counts when it held as long as an event must."""
    hold = Hold(
        join_ns=round(max(JOIN_S, 2 * config.windows.hop_s) * NS_PER_S),
        hold_ns=round(config.publish.event_hold_s * NS_PER_S),
    )
    zone = local_zone(config.memory.time_zone)
    lexicon = Lexicon(manifest, set(config.perceived.values()))
    return Recall(Queries(store, manifest, hold), lexicon, zone, clock)


def check(config: Config) -> Manifest:
    """Check what needs no loading or opening: sensors, broker settings, manifest, what was taught.

    Raises ConfigurationError or ModelError.
    """
    manifest = manifests.read(config.model.path)
    make_sensors(config, manifest, SystemClock())
    tls.check(config.mqtt)
    if config.sparkplug.enabled:
        sparkplug.require()
    requirements.require(config, manifest)
    taught.load(config.taught, manifest)
    return manifest


def make_sensors(config: Config, manifest: Manifest, clock: PacingClock) -> list[Sensor]:
    """The sensors of the configuration. Raises ConfigurationError where one cannot be made."""

    def subscribe(sensor: str, topic: str | None) -> Subscribe:
        wanted = topic or Topics(config.mqtt.topic_root, config.node.name).sensor_input(sensor)
        client_id = f"edge-agent-{config.node.name}-in-{sensor}"
        return Subscription(config.mqtt, clock, client_id=client_id, topic=wanted)

    return SensorFactory(manifest, clock, subscribe).make_all(config.sensors)


def make_windows(config: Config, manifest: Manifest, sensors: Mapping[str, str]) -> Windows:
    """Windows of `sensors` (Chunk.sensor -> slot), cut as the configuration says."""
    cut = config.windows
    return Windows(
        manifest.slots,
        sensors,
        hop_s=cut.hop_s,
        max_gap_s=cut.max_gap_s,
        min_coverage=cut.min_coverage,
        settle_s=cut.settle_s,
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
    return {name: sensor.invented for sensor in config.sensors for name in sensor.sources}


def outbox_of(config: Config, clock: Clock, path: Path | None = None) -> Outbox | None:
    """Where messages wait on disk, not open yet; None where the configuration keeps them in memory."""
    wanted = config.outbox
    if not wanted.enabled:
        return None
    ttl_s = {
        Kind.TELEMETRY: wanted.telemetry_ttl_s,
        Kind.ANSWER: wanted.answer_ttl_s,
        Kind.EVENT: wanted.event_ttl_s,
    }
    return Outbox(path or config.outbox_path, Limits(wanted.max_bytes, ttl_s), clock)


def absences(config: Config) -> Iterator[str]:
    """What is not there now and need not be: the agent waits for it and says so."""
    for sensor in config.sensors:
        for path in sensor.devices:
            if not Path(path).exists():
                yield f'sensor "{sensor.name}": {path} is not there now; the agent will wait for it'
    for broker in _brokers(config):
        probe = Connection(broker, client_id=f"edge-check-{config.node.name}")
        try:
            probe.open()
            probe.await_consent(lambda: False)
        except DeliveryError as error:
            yield f"{error}; the agent will try again until it is there" + (
                f" ({error.hint})" if error.hint else ""
            )
        finally:
            probe.close()


def _brokers(config: Config) -> list[Mqtt]:
    """Every broker that the agent may connect to, each once."""
    wanted = config.sparkplug
    found = [config.mqtt] if wanted.beside_json or not wanted.enabled else []
    if wanted.enabled:
        found += [broker for broker in Servers(wanted, config.mqtt).all if broker not in found]
    return found
