"""Recordings of whole configurations, perceived again: the same percepts every time and at every speed."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from agent_process import configuration
from conftest import ROOT, free_port, wait_for

from edge_agent import config
from edge_agent.assembly import assemble, make_sensors
from edge_agent.cli import main
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.delivery import payloads
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import read as read_manifest
from edge_agent.perception.pipeline import Pipeline
from edge_agent.record.encoding import Arrival, RecordingError, Source
from edge_agent.record.mcap_file import End, RecordingReader, RecordingWriter
from edge_agent.record.playback import Playback
from edge_agent.record.recorder import Recorder, create
from edge_agent.record.session import Session, Tapped, describer, header
from edge_agent.runtime import Agent
from edge_agent.sensors.channels import Channel
from edge_agent.types import Chunk, Percept, SensorHealth
from edge_agent.windows import Windows

e2e = pytest.mark.e2e
S = 1_000_000_000
START_NS = 100 * S
WALL_NS = 1_738_324_800 * S  # 2025-01-31T12:00:00Z
TENTHS, TENTHS_OF_SOUND = 40, 30
SIMULATED = "".join(
    f'[[sensor]]\nkind = "simulated"\nname = "{name}"\nslot = "{slot}"\n'
    for name, slot in (("phone", "imu_phone"), ("watch", "imu_watch"), ("sound", "audio"))
)


@pytest.fixture(scope="module")
def settings_file(random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return configuration(tmp_path_factory.mktemp("replay"), random_model, free_port(), sensors=SIMULATED)


@pytest.fixture(scope="module")
def recording(settings_file: Path) -> Path:
    """Four seconds of three simulated sensors; the last one is silent in the last of them."""
    path, clock = settings_file.with_name("four.mcap"), ManualClock(START_NS, WALL_NS - START_NS)
    settings = config.load(settings_file)
    manifest = read_manifest(settings.model.path)
    sensors = make_sensors(settings, manifest, clock)
    taker = Recorder(create(path), header(settings, clock), describer(settings, manifest, sensors), clock)
    stop = threading.Event()
    sources = [Tapped(sensor, taker.take).chunks(stop) for sensor in sensors]
    for tenth in range(TENTHS):
        for source in sources if tenth < TENTHS_OF_SOUND else sources[:2]:
            next(source)
        clock.advance(0.2 if tenth == 0 else 0.1)  # always later than the next chunk: nobody has to wait
    stop.set()
    taker.run(stop)
    return path


@pytest.fixture(scope="module")
def pipeline(random_model: Path) -> Pipeline:
    return Pipeline(random_model)


SENSORS = {"phone": "imu_phone", "watch": "imu_watch", "sound": "audio"}


def replayed(
    path: Path, pipeline: Pipeline, pace: ManualClock | None = None, stop: threading.Event | None = None
) -> Iterator[tuple[Percept, str]]:
    """(percept, its wall time) of each window."""
    with RecordingReader(path.open("rb"), str(path)) as reader:
        windows = Windows(pipeline.manifest.slots, SENSORS)
        playback = Playback(reader, pipeline, windows, SENSORS, settle_s=0.15)
        for seen in playback.percepts(stop or threading.Event(), pace):
            yield seen, payloads.utc_of(playback.clock, seen.end_ns)


def body(seen: Percept) -> dict[str, object]:
    return {name: payloads.task(task) for name, task in seen.tasks.items()}


# -- what is perceived -----------------------------------------------------------------------------------


def test_every_window_of_the_recording_is_perceived(recording: Path, pipeline: Pipeline):
    found = list(replayed(recording, pipeline))
    assert [seen.sequence for seen, _ in found] == list(range(1, len(found) + 1))
    # The first one ends before the first sample, as in an agent that starts.
    ends_s = [(seen.end_ns - START_NS) / S for seen, _ in found]
    assert ends_s == [-0.5, 0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert [set(seen.present) for seen, _ in found] == [
        set(), set(), set(),
        {"imu_phone", "imu_watch"}, {"imu_phone", "imu_watch"},
        {"imu_phone", "imu_watch", "audio"}, {"imu_phone", "imu_watch", "audio"},
        {"imu_phone", "imu_watch", "audio"},
        {"imu_phone", "imu_watch"}, {"imu_phone", "imu_watch"},
    ]  # fmt: skip
    assert [seen.simulated for seen, _ in found] == [False] * 3 + [True] * 7
    assert found[0][0].missing == ("imu_phone", "imu_watch", "audio")
    assert found[2][1] == "2025-01-31T12:00:00.500Z"


def test_it_is_what_an_agent_that_looks_every_few_milliseconds_perceives(recording: Path, pipeline: Pipeline):
    """The fast way, from window to window, against the slow one that a live agent goes."""
    windows, slow = Windows(pipeline.manifest.slots, SENSORS), []
    with RecordingReader(recording.open("rb"), "it") as reader:
        waiting = list(reader.arrivals())
    for now_ns in range(START_NS, waiting[-1].arrival_ns + S // 6, 5_000_000):
        while waiting and waiting[0].arrival_ns <= now_ns:
            windows.push(waiting.pop(0).chunk)
        slow += [pipeline.perceive(w) for w in windows.ready(now_ns) if w.slots]
    fast = [seen for seen, _ in replayed(recording, pipeline) if seen.present]
    assert len(fast) == 7
    assert [(s.sequence, s.end_ns, body(s)) for s in fast] == [(s.sequence, s.end_ns, body(s)) for s in slow]


def test_pace_delays_and_changes_nothing(recording: Path, pipeline: Pipeline):
    pace, due_s, paced = ManualClock(7 * S), [], []
    for seen, said in replayed(recording, pipeline, pace):
        due_s.append((pace.monotonic_ns() - 7 * S) / S)
        paced.append((body(seen), said))
    assert due_s == [0.0, 0.15, 0.65, 1.15, 1.65, 2.15, 2.65, 3.15, 3.65, 4.15]
    assert paced == [(body(seen), said) for seen, said in replayed(recording, pipeline)]


def test_a_wall_clock_that_was_set_meanwhile_jumps_where_it_jumped(
    settings_file: Path, tmp_path: Path, pipeline: Pipeline
):
    path, start = tmp_path / "set.mcap", ManualClock(START_NS, WALL_NS - START_NS)
    nothing = Chunk("room", np.empty(0, np.int64), np.empty((0, 1), np.float32))
    with RecordingWriter(create(path), header(config.load(settings_file), start)) as file:
        file.announce(Source("room"))
        for i in range(4):
            now_ns, hour_ns = START_NS + i * S, 3600 * S if i > 1 else 0
            file.add(Arrival(nothing, now_ns, WALL_NS + i * S + hour_ns, i))
        file.finish(End(START_NS + 4 * S, {"room": 4}))
    said = [at[11:19] for _, at in replayed(path, pipeline)][1::2]
    assert said == ["12:00:00", "12:00:01", "13:00:02", "13:00:03"]


@pytest.mark.parametrize("pace", [None, ManualClock()])
def test_it_can_be_stopped(recording: Path, pipeline: Pipeline, pace: ManualClock | None):
    stop = threading.Event()
    found = replayed(recording, pipeline, pace, stop)
    next(found)
    stop.set()
    assert list(found) == []


# -- the command -----------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_two_replays_are_the_same_to_the_byte(
    recording: Path, settings_file: Path, capsys: pytest.CaptureFixture[str]
):
    command = ("replay", recording, "-c", settings_file, "--speed", "max", "--json")
    code, first, told = run(capsys, *command)
    assert (code, told) == (0, "")
    assert run(capsys, *command) == (0, first, "")
    lines = [json.loads(line) for line in first.splitlines()]
    assert len(lines) == 10
    for line in lines:
        assert "id" not in line
        jsonschema.validate({"id": "0" * 26} | line, payloads.schema("percept"))
    assert lines[-1]["time_utc"] == "2025-01-31T12:00:04.000Z"
    assert lines[-1]["age_s"] == 0.15


def test_percepts_as_a_person_reads_them(
    recording: Path, settings_file: Path, capsys: pytest.CaptureFixture[str]
):
    code, out, _ = run(capsys, "replay", recording, "-c", settings_file, "--speed", "max")
    assert code == 0
    first, *_, last = out.splitlines()
    assert first == "11:59:59.500  -  (nothing)"
    assert last.startswith("12:00:04.000  ")
    assert last.endswith(" %  (imu_phone, imu_watch)  simulated")


def test_a_recording_that_was_cut_off_is_replayed_and_told(
    recording: Path, settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(recording.read_bytes()[:-300])
    code, out, told = run(capsys, "replay", cut, "-c", settings_file, "--speed", "max")
    assert (code, len(out.splitlines())) == (0, 10)
    assert told == f"note: {cut} ends early: cut off\n"


def test_what_the_configuration_does_not_name_is_not_perceived(
    recording: Path, random_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    watch = '[[sensor]]\nkind = "simulated"\nname = "watch"\nslot = "imu_watch"\n'
    file = configuration(tmp_path, random_model, 1, sensors=watch)
    code, out, told = run(capsys, "replay", recording, "-c", file, "--speed", "max", "--json")
    assert code == 0
    assert {tuple(json.loads(line)["present"]) for line in out.splitlines()} == {(), ("imu_watch",)}
    assert 'note: "phone" fills no slot here' in told
    assert 'note: "sound" fills no slot here' in told


def test_a_configuration_that_does_not_fit_is_told(
    recording: Path, random_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = '[[sensor]]\nkind = "simulated"\nname = "wrist"\nslot = "imu_watch"\n'
    code, _, told = run(
        capsys, "replay", recording, "-c", configuration(tmp_path, random_model, 1, sensors=other)
    )
    assert code == 1
    assert "the recording holds phone, watch, sound; the configuration perceives wrist" in told
    wrong = '[[sensor]]\nkind = "simulated"\nname = "watch"\nslot = "imu_wrist"\n'
    code, _, told = run(
        capsys, "replay", recording, "-c", configuration(tmp_path, random_model, 1, sensors=wrong)
    )
    assert code == 78
    assert "no such slot: imu_wrist" in told
    code, _, told = run(capsys, "replay", tmp_path / "none.mcap", "-c", tmp_path / "edge-agent.toml")
    assert code == 1
    assert "none.mcap: No such file or directory" in told


def test_info(recording: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "record", "info", recording, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["complete"]
    assert facts["start_utc"] == "2025-01-31T12:00:00.000Z"
    assert facts["duration_s"] == pytest.approx(4.1)
    assert facts["windows"]["hop_s"] == 0.5
    assert {name: s["samples"] for name, s in facts["sensors"].items()} == {
        "phone": 400, "watch": 400, "sound": 48_000,
    }  # fmt: skip
    assert facts["sensors"]["sound"]["rate_hz"] == 16_000
    assert all(s["simulated"] and s["gaps"] == s["lost"] == 0 for s in facts["sensors"].values())
    code, out, _ = run(capsys, "record", "info", recording)
    assert (code, len(out.splitlines())) == (0, 5)
    # 24 bytes a sample of motion and 4 of sound, 8 more for each time if nothing were gained.
    assert facts["size_bytes"] < 800 * 32 + 48_000 * 4.1


@pytest.mark.parametrize("command", [["record"], ["record", "info"], ["replay"]], ids=" ".join)
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: edge-agent {' '.join(command)} [-h]")
    assert "example" in said


@pytest.mark.parametrize(
    "arguments",
    [["record"], ["record", "-o", "x", "--duration", "-1"], ["record", "info"], ["replay"],
     ["record", "-o", "x", "--duration", "nan"], ["replay", "x", "--speed", "2"]],
)  # fmt: skip
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@e2e
def test_sensors_are_recorded_until_ctrl_c_and_replayed_in_real_time(
    settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "live.mcap"
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "record", "-c", str(settings_file), "-o", str(path)],
        cwd=ROOT, stdout=terminal, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while b"0:02  " not in seen:
        seen += os.read(screen, 4096)
    process.send_signal(signal.SIGINT)
    while chunk := _read(screen):
        seen += chunk
    assert process.wait(20) == 0, process.stderr.read()
    process.stderr.close()
    os.close(screen)
    assert b"\r\033[K0:01  " in seen
    last = seen.decode().splitlines()[-1]
    assert last.startswith(f"{path}: 0:02  ")
    assert last.endswith("  0 dropped")
    facts = json.loads(run(capsys, "record", "info", path, "--json")[1])
    assert facts["complete"]
    assert facts["sensors"]["phone"]["samples"] >= 150
    command = ("replay", path, "-c", settings_file, "--json")
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert "imu_phone" in json.loads(out.splitlines()[-1])["present"]
    assert run(capsys, *command)[1] == out
    assert run(capsys, *command, "--speed", "max")[1] == out


@e2e
def test_what_a_killed_recorder_left_is_read_and_replayed_alike_in_every_process(
    settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path, agent = tmp_path / "killed.mcap", [sys.executable, "-m", "edge_agent"]
    process = subprocess.Popen(
        [*agent, "record", "-c", str(settings_file), "-o", str(path)], cwd=ROOT, stdout=subprocess.DEVNULL
    )

    def recorded() -> int:
        try:
            with RecordingReader(path.open("rb"), "it") as reader:
                return sum(len(a.chunk.times_ns) for a in reader.arrivals() if a.chunk.sensor == "phone")
        except (OSError, RecordingError):
            return 0

    wait_for(lambda: recorded() >= 200, 60, "two seconds on the disk")
    process.kill()
    process.wait(20)
    facts = json.loads(run(capsys, "record", "info", path, "--json")[1])
    assert (facts["complete"], facts["damage"]) == (False, "cut off")
    assert facts["sensors"]["phone"]["samples"] >= 200
    assert facts["sensors"]["phone"]["dropped_chunks"] == 0
    command = [*agent, "replay", str(path), "-c", str(settings_file), "--speed", "max", "--json"]
    outs = [
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        for seed in ("1", "2")
    ]
    assert outs[0].stdout == outs[1].stdout
    assert b"imu_phone" in outs[0].stdout
    assert b"ends early: cut off" in outs[0].stderr


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 4096)
    except OSError:  # nobody writes any more
        return b""


@e2e
def test_a_full_disk_is_told(settings_file: Path, capsys: pytest.CaptureFixture[str]):
    code, _, told = run(capsys, "record", "-c", settings_file, "-o", "/dev/full")
    assert code == 1
    assert "the recording has ended: No space left on device" in told
    assert "hint:" in told


# -- the session -----------------------------------------------------------------------------------------


class Scripted:
    """A sensor that gives some chunks and then ends, fails or hangs."""

    def __init__(
        self, name: str, error: Exception | None = None, hang: threading.Event | None = None
    ) -> None:
        self.name, self.slot, self.health = name, "", SensorHealth()
        self._error, self._hang = error, hang

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        for i in range(5):
            yield Chunk(self.name, np.array([i], np.int64), np.full((1, 1), i, np.float32))
        if self._error is not None:
            raise self._error
        if self._hang is not None:
            self._hang.wait(30)


def session(path: Path, settings_file: Path, *sensors: Scripted) -> Session:
    clock = SystemClock()
    start = header(config.load(settings_file), clock)
    return Session(sensors, Recorder(create(path), start, lambda c: Source(c.sensor), clock), clock)


def test_a_session_ends_with_its_sensors(settings_file: Path, tmp_path: Path):
    path = tmp_path / "a.mcap"
    done = session(path, settings_file, Scripted("a"), Scripted("b")).run(
        threading.Event(), 60.0, lambda _: None
    )
    assert done.chunks == {"a": 5, "b": 5}
    with RecordingReader(path.open("rb"), "it") as reader:
        found = list(reader.arrivals())
        assert reader.damage == ""
    assert sorted((a.chunk.sensor, a.sequence) for a in found) == [(n, i) for n in "ab" for i in range(5)]
    assert [a.arrival_ns for a in found] == sorted(a.arrival_ns for a in found)


def test_a_sensor_that_cannot_work_ends_it_and_what_there_was_is_kept(settings_file: Path, tmp_path: Path):
    path = tmp_path / "a.mcap"
    wrong = Scripted("a", ConfigurationError("no such microphone"))
    with pytest.raises(ConfigurationError, match="no such microphone"):
        session(path, settings_file, wrong).run(threading.Event(), 60.0, lambda _: None)
    with RecordingReader(path.open("rb"), "it") as reader:
        assert len(list(reader.arrivals())) == 5
        assert reader.damage == ""


def test_a_sensor_that_hangs_is_named_and_what_there_was_is_kept(settings_file: Path, tmp_path: Path):
    path, hang = tmp_path / "a.mcap", threading.Event()
    with pytest.raises(RecordingError, match="did not end in time: sensor a"):
        session(path, settings_file, Scripted("a", hang=hang)).run(threading.Event(), 0.001, lambda _: None)
    hang.set()
    with RecordingReader(path.open("rb"), "it") as reader:
        assert len(list(reader.arrivals())) == 5


def test_what_is_said_of_each_sensor(random_model: Path, tmp_path: Path):
    tables = """
[[sensor]]
kind = "simulated"
name = "phone"
slot = "imu_phone"
[[sensor]]
kind = "i2c"
name = "room"
chip = "mpu6050"
bus = "simulated"
[[sensor]]
kind = "network"
name = "eyes"
channels = { gaze_x = "deg" }
"""
    settings = config.load(configuration(tmp_path, random_model, 1, sensors=tables))
    manifest = read_manifest(random_model)
    clock = ManualClock()
    sensors = make_sensors(settings, manifest, clock)
    describe = describer(settings, manifest, sensors)
    some = {
        name: Chunk(name, np.zeros(1, np.int64), np.zeros((1, 1), np.float32)) for name in settings.sources
    }
    phone = describe(some["phone"])
    assert (phone.slot, phone.modality, phone.simulated) == ("imu_phone", "imu", True)
    assert phone.channels[0] == Channel("acc_x", "m/s2")
    assert phone.channels[-1] == Channel("gyro_z", "rad/s")
    next(sensors[1].chunks(threading.Event()))  # a chip says what it measures when it has been found
    room = describe(some["room"])
    assert (room.slot, room.modality, room.simulated) == ("", "imu", True)
    assert Channel("acc_x", "m/s2") in room.channels
    assert describe(some["eyes"]) == Source("eyes", "", "", (Channel("gaze_x", "deg"),), False)


# -- in an agent -----------------------------------------------------------------------------------------


@e2e
def test_an_agent_goes_on_when_the_disk_of_its_recording_is_full(settings_file: Path):
    settings, clock, stop = config.load(settings_file), SystemClock(), threading.Event()
    taker = Recorder(
        open("/dev/full", "wb", buffering=0),  # noqa: PTH123, SIM115  # the recorder owns it
        header(settings, clock), lambda c: Source(c.sensor), clock,
    )  # fmt: skip
    parts = assemble(settings, clock, lambda *given: [Tapped(s, taker.take) for s in make_sensors(*given)])
    agent = Agent(parts)
    threads = [threading.Thread(target=taker.run, args=(stop,)), threading.Thread(target=agent.run)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: taker.error, 20, "the disk to be full")
        wait_for(lambda: (seen := agent.inference.latest) and seen.present, 20, "a percept")
        assert threads[0].is_alive()
    finally:
        agent.stop()
        stop.set()
        for thread in threads:
            thread.join(10)
    assert taker.error.endswith("No space left on device")
    assert not any(thread.is_alive() for thread in threads)
