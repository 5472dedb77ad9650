"""`edge-agent sensors` and `edge-agent simulate`, as a person and a script meet them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Mosquitto, free_port, wait_for

from edge_agent import cli_simulate
from edge_agent import config as config_module
from edge_agent.assembly import check
from edge_agent.cli import main
from edge_agent.cli_sensors import tail_line
from edge_agent.config_sensors import Faults, SignalFaults
from edge_agent.flow import FlowMeter
from edge_agent.sensors.i2c import chips
from edge_agent.types import Chunk

SENSORS = """
[[sensor]]
kind = "i2c"
name = "phone"
chip = "mpu6050"
bus = "simulated"
slot = "imu_phone"
[[sensor]]
kind = "i2c"
name = "room"
chip = "d6t"
bus = "simulated"
[[sensor]]
kind = "gps"
name = "gps"
port = "/dev/no-such-receiver"
"""


@pytest.fixture
def config(tmp_path: Path, random_model: Path) -> str:
    file = tmp_path / "edge-agent.toml"
    file.write_text(f"[model]\npath = '{random_model}'\n{SENSORS}")
    return str(file)


def test_list_says_what_is_configured_and_what_is_not_there(config: str, capsys):
    assert main(["sensors", "list", "-c", config, "--json"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(rows) == ["phone", "room", "gps"]
    assert rows["phone"]["slot"] == "imu_phone"
    assert rows["phone"]["simulated"]
    assert len(rows["room"]["channels"]) == 17
    assert rows["gps"]["missing_devices"] == ["/dev/no-such-receiver"]
    assert main(["sensors", "list", "-c", config]) == 0
    assert "/dev/no-such-receiver is not there" in capsys.readouterr().out


def test_chips_lists_every_chip(capsys):
    assert main(["sensors", "chips", "--json"]) == 0
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == list(chips.NAMES)
    assert main(["sensors", "chips"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in chips.NAMES)


def test_a_bus_that_is_not_there_is_told_by_probe(capsys):
    assert main(["sensors", "probe", "--bus", "77", "--json"]) == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["what"] == "there is no I2C bus /dev/i2c-77"
    assert "raspi-config" in found["hint"]
    assert main(["sensors", "probe", "--bus", "77"]) == 0
    said = capsys.readouterr().out
    assert "/dev/i2c-77" in said
    assert "raspi-config" in said


def test_an_unknown_name_is_answered_with_the_nearest(config: str, capsys):
    assert main(["sensors", "tail", "fone", "-c", config]) == 1
    said = capsys.readouterr().err
    assert 'did you mean "phone"?' in said
    assert "phone, room, gps" in said


@pytest.mark.e2e
def test_tail_shows_live_values(config: str, capsys):
    assert main(["sensors", "tail", "phone", "-c", config, "--duration", "1.5", "--json"]) == 0
    first, *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last["rate_hz"] == pytest.approx(100, rel=0.1)
    assert 0 <= last["offset_ms"] < 100
    assert last["gaps"] == 0
    assert last["values"] != first["values"], "they are live"
    assert last["jitter_ms"] >= 0
    assert set(last["values"]) == {"acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"}
    assert main(["sensors", "tail", "room", "-c", config, "--duration", "1.5"]) == 0
    said = capsys.readouterr().out
    assert "(+9 channels)" in said
    assert "offset" not in said, "it fills no slot, so no window is cut of it"
    assert main(["sensors", "tail", "phone", "-c", config, "--duration", "1.2"]) == 0
    assert "  offset " in capsys.readouterr().out


def test_a_line_of_tail_says_rate_jitter_gaps_and_the_newest_values():
    meter, names = FlowMeter(), ["t", "h"]
    times_ns = np.arange(0, 200, dtype=np.int64) * 10_000_000
    times_ns[1::2] += 2_000_000  # 12 and 8 ms apart in turns
    times_ns[100:] += 500_000_000
    values = np.stack([np.arange(200), np.full(200, np.nan)], axis=1).astype(np.float32)
    chunk = Chunk("room", times_ns + time.monotonic_ns() - int(times_ns[-1]), values, lost=3)
    meter.add(chunk)
    said = tail_line("room", names, meter, chunk, as_json=False)
    flow = meter.flow(time.monotonic_ns())
    assert flow.rate_hz == pytest.approx(199 / (199 * 0.01 + 0.502), abs=0.1)
    assert said.strip().startswith(f"{flow.rate_hz:.1f} Hz  ")
    assert f"jitter {flow.jitter_ms:6.2f} ms" in said
    assert flow.jitter_ms == pytest.approx(np.std(np.diff(times_ns)) * 1e-6, rel=1e-6)
    assert "gaps 1" in said
    assert said.endswith("t 199  h nan")
    told = json.loads(tail_line("room", names, meter, chunk, as_json=True))
    assert told["values"] == {"t": 199.0, "h": None}
    assert (told["sensor"], told["gaps"], told["lost"]) == ("room", 1, 3)
    assert told["jitter_ms"] == pytest.approx(flow.jitter_ms, abs=1e-3)


@pytest.mark.e2e
@pytest.mark.parametrize("slot", ["", 'slot = "imu_phone"'])
def test_tail_counts_the_gaps_of_a_chip_that_comes_and_goes(slot: str, random_model: Path, tmp_path, capsys):
    file = tmp_path / "edge-agent.toml"
    faults = "faults = { disconnect_every_s = 1.0, disconnect_for_s = 0.4 }"
    table = f"kind = 'i2c'\nname = 'phone'\nchip = 'mpu6050'\nbus = 'simulated'\n{slot}\n{faults}"
    file.write_text(f"[model]\npath = '{random_model}'\n[[sensor]]\n{table}\n")
    assert main(["sensors", "tail", "phone", "-c", str(file), "--duration", "4", "--json"]) == 0
    seen = capsys.readouterr()
    gaps = [json.loads(line)["gaps"] for line in seen.out.splitlines()]
    assert gaps[0] == 0
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 2
    assert "offline: the chip does not answer" in seen.err


@pytest.mark.e2e
def test_a_sensor_that_gives_nothing_says_why(config: str, capsys):
    assert main(["sensors", "tail", "gps", "-c", config, "--duration", "1"]) == 0
    assert "/dev/no-such-receiver is not there" in capsys.readouterr().err
    assert main(["sensors", "plot", "gps", "-c", config, "--duration", "0.5"]) == 1
    assert '"gps" gave nothing' in capsys.readouterr().err


@pytest.mark.e2e
def test_plot_draws_in_the_terminal_and_into_a_file(config: str, tmp_path: Path, capsys):
    pytest.importorskip("plotext")
    picture = tmp_path / "phone.png"
    assert main(["sensors", "plot", "phone", "-c", config, "--duration", "1", "--png", str(picture)]) == 0
    assert "acc_x" in capsys.readouterr().out
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("device", "what", "kind"),
    [
        ("board", "firmware bridge at 115200", 'kind = "serial"'),
        ("gps", "gps at 115200", 'kind = "gps"'),
        ("ld06", "lidar ld06 at 115200", 'kind = "lidar", model = "ld06"'),
        ("rplidar", "lidar rplidar_a1 at 115200", 'kind = "lidar", model = "rplidar_a1"'),
    ],
)
def test_a_simulated_device_is_found_by_probing_its_port(
    device: str, what: str, kind: str, tmp_path: Path, capsys
):
    link = tmp_path / "port"
    simulated = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "simulate", device, "--link", str(link), "--garbage-every", "3"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        wait_for(link.exists, 20, "the port")
        assert main(["sensors", "probe", "--port", str(link), "--json"]) == 0
        (found,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert found["what"].startswith(what), found
        assert found["hint"].startswith(f'{kind}, port = "{link}"')
    finally:
        simulated.send_signal(signal.SIGINT)
        assert simulated.wait(10) == 0
    assert not link.exists()


@pytest.mark.parametrize("device", ["gps", "camera"])
def test_a_path_that_cannot_be_is_named(device: str, capsys):
    assert main(["simulate", device, "--link", "/proc/nowhere/it", "--duration", "1"]) == 1
    said = capsys.readouterr().err
    assert "it cannot appear at /proc/nowhere/it" in said
    assert "hint: " in said


@pytest.mark.e2e
def test_the_folder_of_a_port_is_made(tmp_path: Path, capsys):
    assert main(["simulate", "gps", "--link", str(tmp_path / "new" / "gps"), "--duration", "0.5"]) == 0
    assert (tmp_path / "new").is_dir()


def test_a_port_that_exists_is_not_overwritten(tmp_path: Path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["simulate", "gps", "--link", str(tmp_path / "file")]) == 1
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


# -- simulated chips -------------------------------------------------------------------------------------


def test_the_faults_are_those_of_the_configuration():
    both = [*cli_simulate.ALL_FAULTS, *cli_simulate.READ_FAULTS]
    assert [*both, *cli_simulate.CHIP_FAULTS] == list(Faults.model_fields)
    assert [*both, *cli_simulate.SOUND_FAULTS] == list(SignalFaults.model_fields)


@pytest.mark.e2e
@pytest.mark.parametrize("chip", ["mpu6050", "d6t", "vl53l0x"])
def test_a_simulated_chip_is_read_and_its_table_is_printed(chip: str, random_model: Path, capsys):
    assert main(["simulate", chip, "--noise", "0.5", "--duration", "1.2"]) == 0
    table, _, lines = capsys.readouterr().out.partition("\n\n")
    settings = config_module.loads(f"[model]\npath = '{random_model}'\n{table}", ROOT)
    check(settings)
    (sensor,) = settings.sensors
    assert (sensor.kind, sensor.chip, sensor.bus, sensor.faults) == (
        "i2c", chip, "simulated", Faults(noise=0.5),
    )  # fmt: skip
    last = lines.splitlines()[-1]
    assert float(last.split(" Hz")[0]) > 1
    assert "gaps 0" in last


@pytest.mark.e2e
def test_the_faults_of_a_simulated_chip_are_seen(capsys):
    away = ["--disconnect-every-s", "1", "--disconnect-for-s", "0.6", "--duration", "4", "--json"]
    assert main(["simulate", "mpu6050", *away]) == 0
    seen = capsys.readouterr()
    states = [line.partition(":")[0] for line in seen.err.splitlines() if line.startswith(("online", "off"))]
    assert states[:3] == ["online", "offline", "online"]
    assert "the chip does not answer" in seen.err
    assert json.loads(seen.out.splitlines()[-1])["gaps"] >= 1
    assert main(["simulate", "mpu6050", "--stuck-after-s", "0.2", "--duration", "1.6", "--json"]) == 0
    values = [json.loads(line)["values"] for line in capsys.readouterr().out.splitlines()]
    assert values[-1] == values[-2]


@pytest.mark.e2e
def test_an_invented_sound_is_heard_and_its_table_is_accepted(random_model: Path, capsys):
    assert main(["simulate", "sound", "--drop-share", "0.3", "--duration", "2.5"]) == 0
    table, _, lines = capsys.readouterr().out.partition("\n\n")
    settings = config_module.loads(f"[model]\npath = '{random_model}'\n{table}", ROOT)
    check(settings)
    (sensor,) = settings.sensors
    assert (sensor.kind, sensor.slot, sensor.faults) == ("simulated", "audio", SignalFaults(drop_share=0.3))
    assert int(lines.splitlines()[-1].split("gaps ")[1].split()[0]) >= 1


@pytest.mark.e2e
def test_a_chip_shows_a_recording_and_its_table_names_it(random_model: Path, tmp_path: Path, capsys):
    file = tmp_path / "air.csv"
    file.write_text("timestamp,humidity,temperature\n0,41.5,19.25\n60000,41.5,19.25\n")
    assert main(["simulate", "sht31", "--recording", str(file), "--duration", "2.5", "--json"]) == 0
    seen = capsys.readouterr()
    values = json.loads(seen.out.splitlines()[-1])["values"]
    assert values == pytest.approx({"temperature": 19.25, "humidity": 41.5}, abs=0.01)
    table = seen.err.partition("\n\n")[0]
    assert f'recording = "{file}"' in table
    check(config_module.loads(f"[model]\npath = '{random_model}'\n{table}", ROOT))
    file.write_text("timestamp,temperature\n0,19\n60000,20\n")
    assert main(["simulate", "sht31", "--recording", str(file), "--duration", "1"]) == 78
    assert "lacks the column(s) humidity" in capsys.readouterr().err


@pytest.mark.e2e
@pytest.mark.parametrize("device", ["gaze", "hand", "finger"])
def test_a_simulated_tracker_feeds_the_sensor_that_it_names(
    device: str, broker: Mosquitto, random_model: Path, tmp_path: Path, capsys
):
    """The table is put together from what it prints; `sensors tail` then shows what it sends."""
    simulated = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "simulate", device, "--host", "127.0.0.1", "--port",
         str(broker.port), "--node", "kitchen", "--spoil-every", "1"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert simulated.stdout
        where, _, table = simulated.stdout.readline().strip().partition(": ")
        assert where == f"{device} at 127.0.0.1:{broker.port}"
        settings = f"[node]\nname = 'kitchen'\n[mqtt]\nhost = '127.0.0.1'\nport = {broker.port}\n"
        lines = re.sub(r", (?=(name|channels) = )", "\n", table)
        file = tmp_path / "edge-agent.toml"
        file.write_text(f"{settings}[model]\npath = '{random_model}'\n[[sensor]]\n{lines}\n")
        check(config_module.load(file))
        assert main(["sensors", "tail", device, "-c", str(file), "--duration", "3", "--json"]) == 0
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert last["rate_hz"] == pytest.approx(30, rel=0.2)
        assert all(value is not None for value in last["values"].values())
    finally:
        simulated.send_signal(signal.SIGINT)
        assert simulated.wait(10) == 0
        simulated.stdout.close()


def test_a_tracker_without_a_broker_says_so(capsys):
    assert main(["simulate", "gaze", "--host", "127.0.0.1", "--port", str(free_port()), "--node", "n"]) == 1
    assert "no broker at 127.0.0.1" in capsys.readouterr().err


@pytest.mark.e2e
def test_a_simulated_camera_is_a_folder_that_an_agent_plays(random_model: Path, tmp_path: Path, capsys):
    pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    folder = tmp_path / "pictures"
    simulated = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "simulate", "camera", "--link", str(folder), "--noise", "0.02"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert simulated.stdout
        said = simulated.stdout.readline()
        table = said.partition(": ")[2].replace(", ", "\n")
        file = tmp_path / "edge-agent.toml"
        file.write_text(f"[model]\npath = '{random_model}'\n[[sensor]]\nname = 'eye'\n{table}\n")
        check(config_module.load(file))
        assert main(["sensors", "tail", "eye", "-c", str(file), "--duration", "2", "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["rate_hz"] == pytest.approx(10, rel=0.2)
    finally:
        simulated.send_signal(signal.SIGINT)
        assert simulated.wait(10) == 0
        simulated.stdout.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bme28"], "bme280"),
        (["gps"], "--link"),
        (["camera"], "name the folder to appear at: --link"),
        (["gps", "--link", "x", "--nack-share", "1"], "--nack-share: nothing that gps could do with"),
        (["bme280", "--link", "x"], "--link: nothing that bme280 could do with"),
        (["sound", "--flip-share", "0.1"], "--flip-share: nothing that sound could do with"),
        (["gaze", "--link", "x"], "--link: nothing that gaze could do with"),
        (["board", "--link", "x", "--host", "h"], "--host: nothing that board could do with"),
        (["bme280", "--nack-share", "2"], "--nack-share: "),
        (["gps", "--link", "x", "--noise", "-1"], "--noise: "),
        (["bme280", "--duration", "-1"], "seconds"),
    ],
)
def test_wrong_usage_of_simulate(arguments: list[str], says: str, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *arguments])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_help_lists_every_device(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    said = capsys.readouterr().out
    every = (*cli_simulate.LINKED, *cli_simulate.TRACKERS, cli_simulate.SOUND, *chips.NAMES)
    assert all(name in said for name in every)
