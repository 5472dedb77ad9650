"""The command line as a person or a script meets it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import ROOT, Mosquitto, free_port
from listening import Listener

from edge_agent import __version__
from edge_agent.cli import parser
from edge_agent.completion import script as completion_script

e2e = pytest.mark.e2e


def run(*arguments: object, cwd: Path = ROOT, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_version():
    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"edge-agent {__version__}")


@pytest.mark.parametrize(
    "command",
    [[], ["run"], ["ask"], ["status"], ["check"], ["models"], ["models", "verify"], ["demo"], ["completion"]],
)
def test_every_command_has_help(command: list[str]):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "usage: edge-agent" in done.stdout
    assert "\033[" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["ask"],
        ["ask", "what?", "--port", "0"],
        ["ask", "what?", "--node", "a/b"],
        ["ask", "what?", "--timeout", "0"],
        ["ask", "what?", "--timeout", "nan"],
        ["demo", "--duration", "-1"],
        ["demo", "--duration", "soon"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ('[node]\nname = "a"\ncolour = "red"\n', "node.colour"),
        ("[mqtt]\nport = '1883'\n", "mqtt.port"),
        ("[mqtt]\nhots = 'x'\n", 'did you mean "host"?'),
        ("this is no TOML", "TOML"),
    ],
)
def test_a_wrong_configuration_is_78_and_names_the_setting(
    tmp_path: Path, command: str, wrong: str, says: str
):
    file = tmp_path / "wrong.toml"
    rest = '[model]\npath = "m"\n[[sensor]]\nkind = "simulated"\nname = "s"\nslot = "audio"\n'
    file.write_text(wrong + rest)
    done = run(command, "-c", file)
    assert done.returncode == 78
    assert says in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_configuration_at_all_is_78(tmp_path: Path):
    done = run("run", cwd=tmp_path)
    assert done.returncode == 78
    assert "edge-agent.toml" in done.stderr


def test_numpy_is_not_imported_before_its_threads_are_bounded(tmp_path: Path):
    script = (
        "import sys, edge_agent.cli as c; c.parser(); assert 'numpy' not in sys.modules; c._calm_libraries()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["record", "-o", "a.mcap"], ["record", "info", "a.mcap"], ["replay", "a.mcap"],
        ["run", "--record", "a.mcap"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)  # fmt: skip
def test_recordings_without_their_library_are_1_with_the_next_step(tmp_path: Path, arguments: list[str]):
    sensors = "[[sensor]]\nkind = 'simulated'\nname = 's'\nslot = 'audio'\n"
    configuration(tmp_path, tmp_path / "nowhere", 1883, sensors=sensors)
    script = (
        "import sys; sys.modules['mcap'] = None\nfrom edge_agent.cli import main\n"
        f"sys.exit(main({arguments!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "pip install 'iotlm-edge[record]'" in done.stderr
    assert not (tmp_path / "a.mcap").exists()


def test_a_missing_model_is_1_with_the_next_step(tmp_path: Path):
    done = run("run", "-c", configuration(tmp_path, tmp_path / "nowhere", 1883))
    assert done.returncode == 1
    assert "no model at" in done.stderr
    assert "hint:" in done.stderr


def test_a_slot_that_the_model_has_not_is_78(random_model: Path, tmp_path: Path):
    sensors = "[[sensor]]\nkind = 'simulated'\nname = 's'\nslot = 'imu_phon'\n"
    file = configuration(tmp_path, random_model, 1883, sensors=sensors)
    for command in ("run", "check"):
        done = run(command, "-c", file)
        assert done.returncode == 78
        assert 'did you mean "imu_phone"?' in done.stderr


def test_a_recording_that_is_not_there_is_78(random_model: Path, tmp_path: Path):
    sensors = "[[sensor]]\nkind = 'replay'\nname = 's'\nslot = 'audio'\nfiles = ['no.wav']\n"
    done = run("run", "-c", configuration(tmp_path, random_model, 1883, sensors=sensors))
    assert done.returncode == 78
    assert str(tmp_path / "no.wav") in done.stderr


def test_a_password_file_that_cannot_be_read_is_78(random_model: Path, tmp_path: Path):
    mqtt = "username = 'me'\npassword_file = 'none'"
    done = run("run", "-c", configuration(tmp_path, random_model, 1883, mqtt=mqtt))
    assert done.returncode == 78
    assert "mqtt.password_file" in done.stderr


def test_a_changed_byte_of_the_model_is_found(random_model: Path, tmp_path: Path):
    copy = tmp_path / "model"
    shutil.copytree(random_model, copy)
    assert run("models", "verify", copy).returncode == 0
    told = json.loads(run("models", "verify", copy, "--json").stdout)
    assert told["ok"]
    assert told["files"] == 5
    with (copy / "audio.onnx").open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    for done in (run("models", "verify", copy), run("run", "-c", configuration(tmp_path, copy, 1883))):
        assert done.returncode == 1
        assert "audio.onnx was changed" in done.stderr


def test_verify_without_any_model(tmp_path: Path):
    done = run("models", "verify", cwd=tmp_path)
    assert done.returncode == 1
    assert "no model folder" in done.stderr


def test_check_tells_what_is_right_and_what_is_not_there(random_model: Path, tmp_path: Path):
    port = free_port()
    file = configuration(tmp_path, random_model, port)
    done = run("check", "-c", file)
    assert done.returncode == 0
    assert "sensor phone -> imu_phone" in done.stdout
    assert f"no broker at 127.0.0.1:{port}" in done.stdout
    assert f"{tmp_path / 'board'} is not there now" in done.stdout
    told = json.loads(run("check", "-c", file, "--json").stdout)
    assert told["ok"]
    assert told["sensors"] == {"phone": "imu_phone", "watch": "imu_watch", "sound": "audio"}
    assert len(told["notes"]) == 2


def test_asking_where_no_broker_is(tmp_path: Path):
    done = run("ask", "what?", "--host", "127.0.0.1", "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 1
    assert "no broker at 127.0.0.1" in done.stderr
    assert "hint:" in done.stderr


@e2e
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_asking_a_running_agent(broker: Mosquitto, random_model: Path, tmp_path: Path, protocol: str):
    file = configuration(tmp_path, random_model, broker.port, mqtt=f'protocol = "{protocol}"')
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file):
        listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3)
        plain = run("ask", "-c", file, "what is the person doing?")
        assert plain.returncode == 0
        assert plain.stdout.startswith("The person is") or plain.stdout.strip()
        assert "ms" in plain.stderr
        told = run(
            "ask", "--host", "127.0.0.1", "--port", broker.port, "--node", "kitchen", "--json", "how loud?"
        )
        assert told.returncode == 0
        assert json.loads(told.stdout)["question"] == "how loud?"
        empty = run("ask", "-c", file, "  ")
        assert empty.returncode == 1
        assert "the question is empty" in empty.stderr
        wrong = run("ask", "--json", "-c", file, "x" * 10_000)
        assert wrong.returncode == 1
        assert json.loads(wrong.stdout)["error"]["code"] == "too_long"
        lost = run("ask", "--port", broker.port, "--node", "cellar", "--timeout", "0.5", "what?")
        assert lost.returncode == 1
        assert 'no agent "cellar"' in lost.stderr
        listener.validate()


def test_completion_knows_every_command(tmp_path: Path):
    script = tmp_path / "complete.bash"
    script.write_text(
        completion_script(parser())
        + """
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _edge_agent; echo "${COMPREPLY[*]}"; }
try edge-agent ""
try edge-agent mo
try edge-agent models v
try edge-agent ask --p
try edge-agent simulate mp
"""
    )
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=True)
    commands, models, verify, port, devices = done.stdout.splitlines()
    assert {"run", "ask", "check", "models", "demo"} <= set(commands.split())
    assert models == "models"
    assert verify == "verify"
    assert port == "--port"
    assert devices == "mpr121 mpu6050"
