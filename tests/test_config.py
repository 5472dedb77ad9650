"""The configuration: what is accepted, and what every wrong line is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent import config, config_errors, config_sensors, config_types
from edge_agent.errors import ConfigurationError

GOOD = """
[model]
path = "models/x"
[mqtt]
commands = ["ask"]
[[sensor]]
kind = "serial"
name = "board"
port = "/dev/ttyACM0"
streams.phone = { slot = "imu_phone" }
streams.watch = { slot = "imu_watch", name = "left_wrist" }
[[sensor]]
kind = "replay"
name = "sound"
slot = "audio"
files = ["a.ogg", "/srv/b.ogg"]
"""
FOLDER = Path("/etc/edge-agent")


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def refused(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        config.loads(text, FOLDER)
    return caught.value


def test_a_good_file_is_read_with_its_defaults():
    settings = config.loads(GOOD, FOLDER)
    assert settings.sources == {"phone": "imu_phone", "left_wrist": "imu_watch", "sound": "audio"}
    assert settings.mqtt.port == 1883
    assert settings.mqtt.commands == ("ask",)
    assert settings.node.name == "edge"
    assert settings.windows.hop_s == 0.5
    assert isinstance(settings.sensors[0], config_sensors.SerialSensor)
    assert settings.sensors[0].baud_rate == 921_600
    with pytest.raises(ValueError, match="frozen"):
        settings.mqtt.port = 1


def test_without_the_table_nothing_may_be_asked():
    assert config.loads(changed('commands = ["ask"]', ""), FOLDER).mqtt.commands == ()


def test_relative_paths_belong_to_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    settings = config.load(Path("deep/c.toml"))
    assert settings.model.path == tmp_path / "deep" / "models/x"
    assert settings.node.state_directory == tmp_path / "deep" / "state"
    assert settings.sensors[1].files == (tmp_path / "deep" / "a.ogg", Path("/srv/b.ogg"))


@pytest.mark.parametrize(
    ("old", "new", "key", "said", "hint"),
    [
        (
            'name = "board"',
            'name = "board"\nbauds = 1',
            "sensor.0.bauds",
            'did you mean "baud_rate"',
            "known",
        ),
        ("[mqtt]", "[mqt]", "mqt", 'did you mean "mqtt"', "known here: node, model"),
        ("[mqtt]", '[mqtt.tls]\ncafile = "x"\n[mqtt]', "mqtt.tls.cafile", '"ca_file"', "known here"),
        (
            'slot = "imu_watch"',
            'slt = "x"',
            "sensor.0.streams.watch.slt",
            'did you mean "slot"',
            "known here",
        ),
        ('name = "sound"', 'name = "sound"\nzzz = 1', "sensor.1.zzz", "unknown key", "known here"),
        (
            'commands = ["ask"]',
            'port = "1883"',
            "mqtt.port",
            "'1883' (a string); it should be a valid",
            "TCP",
        ),
        ('commands = ["ask"]', "port = true", "mqtt.port", "(a boolean)", "TCP port"),
        ('commands = ["ask"]', "port = 70000", "mqtt.port", "less than or equal to 65535", "TCP port"),
        ('commands = ["ask"]', 'commands = ["reboot"]', "mqtt.commands.0", "it should be 'ask'", "allowed"),
        ('commands = ["ask"]', 'protocol = "4"', "mqtt.protocol", "'5' or '3.1.1'", "MQTT version"),
        ('commands = ["ask"]', 'topic_root = "a/#"', "mqtt.topic_root", "letters", "topic"),
        ('commands = ["ask"]', 'password_file = "x"', "mqtt", "needs a username", ""),
        ('path = "models/x"', "", "model.path", "missing", "manifest.json"),
        (
            'path = "models/x"',
            'path = "x"\nlanguage_deadline_s = inf',
            "model.language_deadline_s",
            "finite",
            "",
        ),
        ('kind = "replay"', 'kind = "reply"', "sensor.1.kind", 'did you mean "replay"', "microphone"),
        ('kind = "replay"', "", "sensor.1.kind", "kind is missing", "microphone"),
        ('files = ["a.ogg", "/srv/b.ogg"]', "files = []", "sensor.1.files", "not be empty", "recordings"),
        ('files = ["a.ogg", "/srv/b.ogg"]', 'files = "a.ogg"', "sensor.1.files", "valid", "recordings"),
        ('name = "board"', 'name = "bo/ard"', "sensor.0.name", "letters", "name of the board"),
        ('name = "sound"', 'name = "board"', "sensor.1.name", "two sensors", "rename"),
        ('name = "sound"', 'name = "phone"', "sensor.1.name", "two sensors", "rename"),
        ('name = "left_wrist"', 'name = "phone"', "sensor.0", "same name", ""),
    ],
)
def test_a_wrong_line_is_named_with_what_would_be_right(old, new, key, said, hint):
    error = refused(changed(old, new))
    assert error.key == key
    assert said in str(error)
    assert key in str(error) or "kind" in key
    assert hint in error.hint


def test_the_sensor_is_named_so_that_nobody_counts_tables():
    assert 'sensor "sound"' in str(refused(changed('kind = "replay"', 'kind = "replay"\nbauds = 3')))


def test_an_unknown_key_is_told_before_what_it_caused():
    error = refused(changed('port = "/dev/ttyACM0"', 'prt = "/dev/ttyACM0"'))
    assert error.key == "sensor.0.prt"
    assert "(and 1 more)" in str(error)


def test_no_sensor_at_all_is_an_error():
    assert refused('[model]\npath = "x"\n').key == "sensor"
    assert refused('sensor = []\n[model]\npath = "x"\n').key == "sensor"
    assert refused('sensor = 3\n[model]\npath = "x"\n').key == "sensor"


@pytest.mark.parametrize("text", ["[model", "a = \n", "[a]\n[a]\n", "node = 3\n"])
def test_what_is_no_configuration_is_an_error_with_a_hint(text):
    error = refused(text)
    assert error.hint
    assert isinstance(error, ValueError)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        config.load(tmp_path / "binary.toml")


def test_the_default_file_is_found_or_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if not config.DEFAULT_FILES[1].exists():
        with pytest.raises(ConfigurationError, match="no configuration file"):
            config.find()
    (tmp_path / "edge-agent.toml").write_text(GOOD)
    assert config.find() == Path("edge-agent.toml")


def test_the_password_is_read_at_use_and_shown_nowhere(tmp_path):
    secret = tmp_path / "secret"
    text = changed('commands = ["ask"]', f'username = "u"\npassword_file = "{secret}"')
    settings = config.loads(text, FOLDER)
    with pytest.raises(ConfigurationError, match="cannot read") as caught:
        settings.mqtt.read_password()
    assert caught.value.key == "mqtt.password_file"
    secret.write_text("hush\nnot this\n")
    assert settings.mqtt.read_password() == "hush"
    secret.write_text("changed\n")
    assert settings.mqtt.read_password() == "changed"
    assert "changed" not in repr(settings)
    assert config.loads(GOOD, FOLDER).mqtt.read_password() is None


def test_half_a_client_certificate_is_an_error():
    error = refused(changed("[mqtt]", '[mqtt.tls]\nkey_file = "k"\n[mqtt]'))
    assert error.key == "mqtt.tls"
    assert "belong together" in str(error)


def test_every_setting_says_what_it_is():
    seen = 0
    for model in {**vars(config), **vars(config_sensors)}.values():
        if isinstance(model, type) and issubclass(model, config_types.Frozen):
            for name, field in model.model_fields.items():
                seen += 1
                assert name == "kind" or field.description, f"{model.__name__}.{name}"
    assert seen > 70


keys = st.sampled_from(
    [
        "node",
        "model",
        "mqtt",
        "sensor",
        "kind",
        "name",
        "slot",
        "streams",
        "port",
        "path",
        "tls",
        "files",
        "x",
    ]
) | st.text(max_size=4)
values = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(
    tables=st.dictionaries(keys, values, max_size=4),
    sensors=st.lists(
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["serial", "replay", "microphone", "simulated", "seriel"]) | values},
            optional=dict.fromkeys(("name", "slot", "streams", "port", "files", "x"), values),
        )
        | values,
        max_size=3,
    ),
)
def test_nothing_that_toml_can_say_escapes_the_explanation(tables, sensors):
    data = {"sensor": sensors, **tables}
    with pytest.raises(ValidationError) as caught:
        config.Config.model_validate_json(json.dumps({**data, "surely": "wrong"}), context={"folder": FOLDER})
    error = config_errors.explain(caught.value, data, config.Config)
    assert "unknown key" in str(error)  # "surely" at the least
