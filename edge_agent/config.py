"""The configuration file: TOML in, frozen typed settings out. Every field states its unit and default.

A wrong file never starts the agent: `load` raises ConfigurationError with the dotted path of the setting
at fault, what stands there, what would be right, and the nearest known name. Relative paths belong to the
folder of the file. Secrets are never in the file, only the path of the file that holds them.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from edge_agent import config_errors
from edge_agent.config_sensors import SensorSettings
from edge_agent.config_sparkplug import Sparkplug, conflict
from edge_agent.config_types import FilePath, Frozen, Name, Topic
from edge_agent.config_voice import VoiceSettings
from edge_agent.errors import ConfigurationError

DEFAULT_FILES = (Path("edge-agent.toml"), Path("/etc/edge-agent/edge-agent.toml"))
"""Where `find` looks when no file is named."""


Command = Literal["ask", "status", "mute", "snapshot", "reload", "talk"]
"""The commands that can be switched on."""


class Node(Frozen):
    """Who this device is."""

    name: Name = Field("edge", description="name of this device in every topic")
    state_directory: FilePath = Field(
        Path("state"), validate_default=True, description="folder for what must survive a restart"
    )


class Model(Frozen):
    """Which model, and what the language model may cost."""

    path: FilePath = Field(description="folder that holds manifest.json")
    taught: FilePath | None = Field(
        None, description="file of taught classes; default: taught.npz in node.state_directory"
    )
    threads: int = Field(1, ge=1, le=64, description="threads of the language model")
    language_deadline_s: float = Field(
        3.0, gt=0, le=120, description="seconds until a deterministic sentence answers instead"
    )
    language_memory_mib: int = Field(
        2048, ge=128, description="address space of the language model's worker in MiB"
    )


class Tls(Frozen):
    """TLS to the broker. Present: TLS is used and the server's certificate is checked."""

    ca_file: FilePath | None = Field(None, description="CA certificate; default: the system's")
    certificate_file: FilePath | None = Field(None, description="client certificate, PEM; default: none")
    key_file: FilePath | None = Field(None, description="key of the client certificate, PEM; default: none")

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both or neither")
        return self


class Mqtt(Frozen):
    """The broker, and what it may ask of us. Without `commands` the agent only publishes."""

    host: str = Field("localhost", min_length=1, description="name or address of the broker")
    port: int = Field(1883, ge=1, le=65535, description="TCP port of the broker (8883 is usual with TLS)")
    protocol: Literal["5", "3.1.1"] = Field("5", description="MQTT version")
    transport: Literal["tcp", "websockets"] = Field("tcp", description="what carries MQTT")
    websocket_path: str = Field(
        "/mqtt", pattern=r"^/[!-~]{0,200}$", description='path of the broker with transport = "websockets"'
    )
    session_expiry_s: int = Field(
        3600, ge=0, le=2**32 - 1, description="seconds for which the broker keeps what is meant for us"
    )
    username: str | None = Field(None, min_length=1, description="user name; default: none")
    password_file: FilePath | None = Field(None, description="file whose first line is the password")
    tls: Tls | None = Field(None, description="table [mqtt.tls]; default: no TLS")
    keepalive_s: int = Field(30, ge=5, le=65535, description="seconds between signs of life")
    topic_root: Topic = Field("edge", description="first level(s) of every topic")
    commands: tuple[Command, ...] = Field((), description='allowed commands, for example ["ask"]')
    snapshot_raw: bool = Field(
        False, description="true: the command snapshot may send sound and pictures as they are"
    )
    revert_after_s: int = Field(
        60, ge=5, le=900, description="seconds after which new broker settings that do not connect are left"
    )
    queue_limit: int = Field(
        1000, ge=10, le=100_000, description="messages kept while the broker is away; the oldest go first"
    )

    @model_validator(mode="after")
    def _user_with_password(self) -> Mqtt:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username beside it")
        return self

    def read_password(self) -> str | None:
        """The first line of `password_file`, read at each use and kept nowhere.

        Raises ConfigurationError when the file cannot be read.
        """
        if self.password_file is None:
            return None
        try:
            lines = self.password_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(
                f"mqtt.password_file: cannot read {self.password_file}",
                key="mqtt.password_file",
                hint="the file must be readable for this user and hold the password in its first line",
            ) from error
        return lines[0] if lines else ""


class Outbox(Frozen):
    """What waits for the broker on disk (docs/delivery.md)."""

    enabled: bool = Field(
        default=True, description="keep messages on disk until the broker has them; false: in memory"
    )
    path: FilePath | None = Field(
        None, description="its file; default: outbox.sqlite in node.state_directory"
    )
    max_bytes: int = Field(
        256 * 1024 * 1024, ge=64 * 1024, le=2**40, description="bytes that may wait; telemetry goes first"
    )
    telemetry_ttl_s: float = Field(
        3 * 86_400.0, gt=0, le=2**31, description="seconds that percepts and health are worth sending"
    )
    answer_ttl_s: float = Field(7 * 86_400.0, gt=0, le=2**31, description="the same for answers")
    event_ttl_s: float = Field(30 * 86_400.0, gt=0, le=2**31, description="the same for events")


class HomeAssistant(Frozen):
    """Whether the node introduces itself to Home Assistant (docs/home-assistant.md)."""

    enabled: bool = Field(False, description="announce this node over MQTT discovery")
    discovery_prefix: Topic = Field(
        "homeassistant", description="discovery prefix that is set in Home Assistant"
    )
    status_topic: Topic = Field("homeassistant/status", description="topic of Home Assistant's birth message")


class WindowSettings(Frozen):
    """How chunks become windows."""

    hop_s: float = Field(0.5, ge=0.02, le=60, description="seconds from one window to the next")
    max_gap_s: float = Field(
        0.06, gt=0, le=10, description="seconds between two samples above which the time between is a gap"
    )
    min_coverage: float = Field(
        0.8, gt=0, le=1, description="share (0..1) of a window that real samples must cover"
    )
    settle_s: float = Field(
        0.15, ge=0, le=5, description="seconds a window waits after its end for chunks that are on their way"
    )


class Publish(Frozen):
    """How often things are published. Changes are published at once, whatever these say."""

    percept_interval_s: float = Field(
        1.0, ge=0, le=3600, description="seconds between percepts; 0: one for each window"
    )
    health_interval_s: float = Field(10.0, ge=0.1, le=3600, description="seconds between health reports")
    event_hold_s: float = Field(
        1.0, ge=0, le=60, description="seconds a label must hold before it is published as an event"
    )
    sentence_interval_s: float = Field(
        5.0, ge=0, le=3600, description="least seconds between two sentences worded unasked; 0: none unasked"
    )


class MemorySettings(Frozen):
    """What is remembered of what was perceived, for questions about the past."""

    enabled: bool = Field(True, description="whether anything is remembered")
    path: FilePath | None = Field(
        None, description="the file; default: memory.sqlite in node.state_directory"
    )
    keep_days: float = Field(30.0, gt=0, le=3660, description="days until it is forgotten")
    max_bytes: int = Field(
        134_217_728, ge=1_048_576, description="bytes above which the oldest is forgotten earlier"
    )
    worded_by_lm: bool = Field(
        True, description="whether the language model words the answers, from the names of their facts"
    )
    time_zone: str | None = Field(None, description='for example "Europe/Berlin"; default: the system\'s')

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ValueError, OSError, ZoneInfoNotFoundError) as error:
                raise ValueError(
                    f'no time zone "{name}" on this machine: timedatectl list-timezones'
                ) from error
        return name


class Config(Frozen):
    """The whole file."""

    node: Node = Field(default_factory=Node, description="table [node]")
    model: Model = Field(description="table [model]")
    mqtt: Mqtt = Field(default_factory=Mqtt, description="table [mqtt]")
    outbox: Outbox = Field(default_factory=Outbox, description="table [outbox]")
    homeassistant: HomeAssistant = Field(default_factory=HomeAssistant, description="table [homeassistant]")
    sparkplug: Sparkplug = Field(default_factory=Sparkplug, description="table [sparkplug]")
    windows: WindowSettings = Field(default_factory=WindowSettings, description="table [windows]")
    publish: Publish = Field(default_factory=Publish, description="table [publish]")
    memory: MemorySettings = Field(default_factory=MemorySettings, description="table [memory]")
    voice: VoiceSettings = Field(default_factory=VoiceSettings, description="table [voice]")
    sensors: tuple[SensorSettings, ...] = Field(
        alias="sensor", min_length=1, description="one [[sensor]] table for each sensor"
    )

    @property
    def taught(self) -> Path:
        """Where the classes that this device was taught are kept; the file need not exist."""
        return self.model.taught or self.node.state_directory / "taught.npz"

    @property
    def outbox_path(self) -> Path:
        """The file of the outbox."""
        return self.outbox.path or self.node.state_directory / "outbox.sqlite"

    @property
    def memory_path(self) -> Path:
        """The file of the memory."""
        return self.memory.path or self.node.state_directory / "memory.sqlite"

    @property
    def sources(self) -> dict[str, str]:
        """Chunk.sensor -> slot ("" for none), for every sensor and every stream of a board."""
        return {name: slot for sensor in self.sensors for name, slot in sensor.sources.items()}

    @property
    def perceived(self) -> dict[str, str]:
        """Chunk.sensor -> slot, for those that fill one."""
        return {name: slot for name, slot in self.sources.items() if slot}

    @model_validator(mode="after")
    def _each_once(self) -> Config:
        owners: dict[str, int] = {}
        for i, sensor in enumerate(self.sensors):
            for name in {sensor.name, *sensor.sources}:
                if owners.setdefault(name, i) != i:
                    raise _repeated(f"sensor.{i}.name", f'two sensors have the name "{name}"', "rename one")
        return self

    @model_validator(mode="after")
    def _sparkplug_fits(self) -> Config:
        needs_json = bool(self.mqtt.commands) or self.homeassistant.enabled
        if (fault := conflict(self.sparkplug, self.sources, needs_json=needs_json)) is not None:
            raise _repeated(*fault)
        return self


def _repeated(key: str, message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("repeated", "{message}", {"message": message, "key": key, "hint": hint})


def find() -> Path:
    """The first of DEFAULT_FILES that exists. Raises ConfigurationError when there is none."""
    for path in DEFAULT_FILES:
        if path.is_file():
            return path
    raise ConfigurationError(
        f"no configuration file: looked for {' and '.join(map(str, DEFAULT_FILES))}",
        hint="copy edge-agent.example.toml to edge-agent.toml, or name a file with -c",
    )


def load(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigurationError; its `key` is the setting at fault."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"cannot read the configuration {path}: {reason}",
            hint="name the file with -c, or copy edge-agent.example.toml and adapt it",
        ) from error
    return loads(text, path.absolute().parent)


def loads(text: str, folder: Path) -> Config:
    """As `load`, from text; relative paths belong to `folder`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"the configuration is not valid TOML: {error}",
            hint="strings need quotes, tables look like [mqtt], sensors like [[sensor]]",
        ) from error
    data.setdefault("node", {})  # a default made without the table would not know the folder
    try:
        # Through JSON, because there strict still turns a string into a path and an array into a tuple.
        return Config.model_validate_json(json.dumps(data, default=str), context={"folder": folder})
    except ValidationError as error:
        raise config_errors.explain(error, data, Config) from error
