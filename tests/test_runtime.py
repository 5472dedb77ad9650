"""Whole agents: real processes, a real broker, a board on a real pty."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_process import NODE, AgentProcess, Supervisor, board, configuration
from conftest import Mosquitto, free_port, wait_for
from listening import Listener

from edge_agent import config
from edge_agent.assembly import assemble
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.errors import ConfigurationError
from edge_agent.runtime import Agent, ShutdownError
from edge_agent.stages import Acquisition
from edge_agent.types import Chunk, Percept, SensorHealth, SensorState, TaskPercept

e2e = pytest.mark.e2e


# -- whole processes -------------------------------------------------------------------------------------


@e2e
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_sensors_in_percepts_events_and_answers_out(
    broker: Mosquitto, random_model: Path, tmp_path: Path, protocol: str
):
    file = configuration(tmp_path, random_model, broker.port, mqtt=f'protocol = "{protocol}"')
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file) as agent:
        percept = listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3)
        assert set(percept["tasks"]) == {"activity_recognition", "event_detection"}
        assert sum(percept["tasks"]["activity_recognition"]["probabilities"].values()) == pytest.approx(
            1, abs=0.01
        )
        assert sum(percept["tasks"]["activity_recognition"]["alpha"].values()) == pytest.approx(1, abs=0.01)
        assert percept["simulated"]
        assert listener.on(f"{NODE}/state")[0]["state"] == "online"
        assert listener.wait(f"{NODE}/info")["commands"] == ["ask"]
        for sensor, rate_hz in (("phone", 100), ("watch", 100), ("sound", 16_000)):
            state = listener.wait(
                f"{NODE}/sensor/{sensor}/state", lambda m: m["state"] == "online" and m["rate_hz"] > 0
            )
            assert state["rate_hz"] == pytest.approx(rate_hz, rel=0.1)
        event = listener.wait(f"{NODE}/event")
        told = listener.wait(f"{NODE}/answer", lambda m: not m.get("asked", True))
        assert told["id"] in {e["id"] for e in listener.on(f"{NODE}/event")}
        assert event["label"]
        listener.send(f"{NODE}/cmd/ask", {"question": "what is the person doing?", "id": "q1"})
        answer = listener.wait(f"{NODE}/answer/q1")
        assert answer["asked"]
        assert answer["text"]
        assert answer["evidence"]
        health = listener.wait(f"{NODE}/health", lambda m: m["percepts"] > 2)
        assert health["rss_bytes"] > 10_000_000
        assert health["latency_ms"]["perceive"]["p50"] > 0
        code, _ = agent.end()
        assert code == 0
        assert listener.wait(f"{NODE}/state", lambda m: m["state"] == "offline")
        counts = listener.validate()
    assert set(counts) == {"state", "info", "health", "queue", "sensor_state", "percept", "event", "answer"}
    print("validated", counts)


@e2e
def test_wrong_questions_get_a_reply_that_says_why(broker: Mosquitto, random_model: Path, tmp_path: Path):
    file = configuration(tmp_path, random_model, broker.port)
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file):
        listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3)
        ask = f"{NODE}/cmd/ask"
        listener.send(ask, {"question": "", "id": "empty"})
        listener.send(ask, {"question": "x" * 10_000, "id": "long"})
        listener.send(ask, {"question": "what does the thermometer say?", "id": "absent"})
        listener.send(ask, b"{not json", reply_to="replies/me", correlation=b"\7")
        assert listener.wait(f"{NODE}/answer/empty")["error"]["code"] == "empty_question"
        assert listener.wait(f"{NODE}/answer/long")["error"]["code"] == "too_long"
        absent = listener.wait(f"{NODE}/answer/absent")
        assert absent["source"] == "refusal"
        assert "no thermometer" in absent["text"]
        assert listener.wait("replies/me")["error"]["code"] == "malformed"
        raw = next(m for m in listener.heard if m.topic == "replies/me")
        assert raw.correlation == b"\7"
        health = listener.wait(f"{NODE}/health", lambda m: len(m["commands"]["refused"]) == 3)
        assert health["commands"]["refused"] == {"empty_question": 1, "too_long": 1, "malformed": 1}
        listener.validate()


@e2e
def test_a_board_that_is_unplugged_comes_back_by_itself(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    file = configuration(tmp_path, random_model, broker.port)
    phone = f"{NODE}/sensor/phone/state"
    with Listener(broker.port) as listener, board(tmp_path) as mcu, AgentProcess(file):
        listener.wait(phone, lambda m: m["state"] == "online")
        mcu.unplug()
        listener.wait(phone, lambda m: m["state"] == "offline" and m["reason"] != "not started")
        lonely = listener.wait(f"{NODE}/percept", lambda m: "imu_phone" in m["missing"] and m["sequence"] > 5)
        assert "audio" in lonely["present"]
        before = len(listener.heard)
        mcu.plug()
        begun_s = time.monotonic()

        def back() -> list[dict[str, Any]]:
            later = [m for m in list(listener.heard)[before:] if m.topic == phone]
            return [body for m in later if (body := json.loads(m.payload))["state"] == "online"]

        again = wait_for(back, 10, "the board")[0]  # type: ignore[index]
        took_s = time.monotonic() - begun_s
        print(f"back after {took_s:.2f} s")
        assert took_s < 5
        assert again["reconnects"] >= 1
        sequence = lonely["sequence"]
        listener.wait(f"{NODE}/percept", lambda m: m["sequence"] > sequence and "imu_phone" in m["present"])
        listener.validate()


@e2e
def test_garbage_on_the_line_is_counted_and_survived(broker: Mosquitto, random_model: Path, tmp_path: Path):
    file = configuration(tmp_path, random_model, broker.port)
    phone = f"{NODE}/sensor/phone/state"
    with Listener(broker.port) as listener, board(tmp_path) as mcu, AgentProcess(file):
        listener.wait(phone, lambda m: m["state"] == "online" and m["samples"])
        mcu.garbage(2000)
        mcu.drop_frames(2)
        after = listener.wait(phone, lambda m: m["errors"] and m["lost"])
        later = listener.wait(phone, lambda m: m["samples"] > after["samples"] + 50)
        assert later["state"] == "online"
        assert later["reconnects"] == 0
        listener.validate()


@e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_soon(
    broker: Mosquitto, random_model: Path, tmp_path: Path, number: int
):
    file = configuration(tmp_path, random_model, broker.port)
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file) as agent:
        listener.wait(f"{NODE}/percept")
        code, took_s = agent.end(number)
        print(f"ended in {took_s:.2f} s")
        assert code == 0
        assert took_s < 3  # two, and one for a machine that does other things as well
        listener.wait(f"{NODE}/sensor/phone/state", lambda m: m["reason"] == "stopped")
        assert listener.on(f"{NODE}/state")[-1]["state"] == "offline"


@e2e
def test_a_signal_while_the_models_are_loading_ends_it_cleanly_too(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    with AgentProcess(configuration(tmp_path, random_model, broker.port)) as agent:
        wait_for(lambda: "loading" in agent.log.read_text(), 30, "the agent to begin")
        code, took_s = agent.end()
        assert code == 0
        assert took_s < 5


@e2e
def test_a_killed_agent_is_offline_by_its_last_will(broker: Mosquitto, random_model: Path, tmp_path: Path):
    file = configuration(tmp_path, random_model, broker.port)
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file) as agent:
        listener.wait(f"{NODE}/state", lambda m: m["state"] == "online")
        agent.process.kill()
        assert "time_utc" not in listener.wait(f"{NODE}/state", lambda m: m["state"] == "offline")


@e2e
def test_a_broker_that_comes_late_and_goes_away(
    stopped_broker: Mosquitto, random_model: Path, tmp_path: Path
):
    file = configuration(tmp_path, random_model, stopped_broker.port)
    with board(tmp_path), AgentProcess(file) as agent:
        time.sleep(2)
        assert agent.process.poll() is None
        stopped_broker.start()
        with Listener(stopped_broker.port) as listener:
            first = listener.wait(f"{NODE}/percept")
            stopped_broker.stop()
            time.sleep(1.5)
            stopped_broker.start()
            sequence = first["sequence"]
            listener.wait(f"{NODE}/percept", lambda m: m["sequence"] > sequence + 3)
            health = listener.wait(f"{NODE}/health", lambda m: m["mqtt"]["connects"] == 2)
            assert health["mqtt"]["dropped"] == 0
            listener.validate()
        stopped_broker.stop()
        time.sleep(0.5)
        code, took_s = agent.end()
        print(f"ended without a broker in {took_s:.2f} s")
        assert code == 0


@e2e
def test_the_service_manager_hears_ready_alive_and_stopping(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    supervisor = Supervisor(tmp_path / "notify")
    file = configuration(tmp_path, random_model, broker.port)
    environment = {"NOTIFY_SOCKET": str(supervisor.path), "WATCHDOG_USEC": "2000000"}
    with board(tmp_path), AgentProcess(file, environment) as agent:
        assert "STATUS=" in supervisor.wait("READY=1")
        supervisor.wait("WATCHDOG=1")
        supervisor.wait("WATCHDOG=1")
        agent.process.send_signal(signal.SIGTERM)
        supervisor.wait("STOPPING=1")
        assert agent.process.wait(10) == 0
    supervisor.close()


@e2e
def test_a_language_model_that_dies_is_replaced_and_the_answer_comes_all_the_same(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    import psutil

    file = configuration(tmp_path, random_model, broker.port)
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file) as agent:
        listener.wait(f"{NODE}/health", lambda m: m["language"]["ready"])
        worker = psutil.Process(agent.process.pid).children()[0]
        worker.kill()
        listener.send(f"{NODE}/cmd/ask", {"question": "what is the person doing?", "id": "orphan"})
        assert listener.wait(f"{NODE}/answer/orphan")["text"]
        listener.wait(f"{NODE}/health", lambda m: m["language"]["restarts"] and m["language"]["ready"])


@e2e
def test_the_trained_model_on_real_recordings(
    broker: Mosquitto, shipped_model: Path, demo_recordings: Path, tmp_path: Path
):
    sensors = "".join(
        f"[[sensor]]\nkind = 'replay'\nname = '{name}'\nslot = '{slot}'\n"
        f"files = ['{demo_recordings / file}']\n"
        for name, slot, file in (
            ("phone", "imu_phone", "s01_01_sp.csv"),
            ("watch", "imu_watch", "s01_01_sw.csv"),
            ("sound", "audio", "5-203128-A.ogg"),
        )
    )
    file = configuration(tmp_path, shipped_model, broker.port, sensors=sensors)
    with Listener(broker.port) as listener, AgentProcess(file):
        for label in ("walking", "seated"):
            found = listener.wait(
                f"{NODE}/percept",
                lambda m, label=label: (
                    m["tasks"].get("activity_recognition", {}).get("label") == label
                    and m["tasks"]["activity_recognition"]["known"]
                ),
                40,
            )
            assert not found["simulated"]
        listener.wait(
            f"{NODE}/percept", lambda m: m["tasks"].get("event_detection", {}).get("label") == "dog", 40
        )
        listener.send(f"{NODE}/cmd/ask", {"question": "what is the person doing?", "id": "q"})
        answer = listener.wait(f"{NODE}/answer/q")
        print(answer["text"], answer["source"], answer["latency_ms"])
        assert answer["text"]
        listener.validate()


# -- in this process, with sensors of our own ------------------------------------------------------------


class Scripted:
    """A sensor for one slot that does what a test tells it, in real time."""

    def __init__(self, name: str, slot: str) -> None:
        self.name, self.slot, self.health = name, slot, SensorHealth()
        self.starts = 0
        self.fault: BaseException | None = None
        self.hang: threading.Event | None = None

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        self.starts += 1
        self.health.state, self.health.reason = SensorState.ONLINE, ""
        rng = np.random.default_rng(0)
        while not stop.wait(0.05):
            if self.hang is not None:
                self.hang.wait(30)
            if self.fault is not None:
                fault, self.fault = self.fault, None
                raise fault
            times_ns = time.monotonic_ns() + np.arange(-5, 0, dtype=np.int64) * 10_000_000
            yield Chunk(self.name, times_ns, rng.normal(0, 1, (5, 6)).astype(np.float32))


SCRIPTED = """
[[sensor]]
kind = "simulated"
name = "phone"
slot = "imu_phone"
[[sensor]]
kind = "simulated"
name = "watch"
slot = "imu_watch"
"""


class InProcess:
    def __init__(self, folder: Path, model: Path) -> None:
        self.sensors = [Scripted("phone", "imu_phone"), Scripted("watch", "imu_watch")]
        settings = config.load(configuration(folder, model, free_port(), sensors=SCRIPTED))
        self.agent = Agent(assemble(settings, SystemClock(), lambda *_: list(self.sensors)))
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.agent.run()
        except Exception as error:  # noqa: BLE001  # the test looks at it
            self.error = error

    def end(self) -> None:
        self.agent.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_a_sensor_with_a_fault_is_tried_again_while_the_others_go_on(random_model: Path, tmp_path: Path):
    running = InProcess(tmp_path, random_model)
    agent, (phone, watch) = running.agent, running.sensors
    wait_for(lambda: agent.inference.latest and len(agent.inference.latest.present) == 2, what="a percept")
    phone.fault = RuntimeError("the driver tripped")
    wait_for(lambda: phone.health.state is SensorState.OFFLINE, what="the report")
    assert "the driver tripped" in phone.health.reason
    assert watch.health.state is SensorState.ONLINE
    wait_for(lambda: phone.starts == 2 and phone.health.state is SensorState.ONLINE, what="the retry")
    running.end()
    assert running.error is None


def test_a_sensor_whose_settings_cannot_work_ends_the_agent(random_model: Path, tmp_path: Path):
    running = InProcess(tmp_path, random_model)
    wait_for(lambda: running.sensors[0].starts, what="the start")
    running.sensors[0].fault = ConfigurationError("no such device", key="sensor.0.device")
    running.thread.join(10)
    assert isinstance(running.error, ConfigurationError)


def test_a_thread_that_will_not_die_is_an_error(random_model: Path, tmp_path: Path):
    running = InProcess(tmp_path, random_model)
    wait_for(lambda: running.sensors[0].starts, what="the start")
    running.sensors[0].hang = threading.Event()
    time.sleep(0.2)
    running.end()
    assert isinstance(running.error, ShutdownError)
    assert "sensor phone" in str(running.error)
    running.sensors[0].hang.set()


def test_without_any_data_it_says_so_instead_of_guessing(random_model: Path, tmp_path: Path):
    running = InProcess(tmp_path, random_model)
    for sensor in running.sensors:
        sensor.hang = threading.Event()
    percept = wait_for(lambda: running.agent.inference.latest, what="a percept")
    assert isinstance(percept, Percept)
    assert percept.present == ()
    assert percept.tasks == {}
    for sensor in running.sensors:
        sensor.hang.set()  # type: ignore[union-attr]
    running.end()


def test_an_online_sensor_that_hangs_starves_the_watchdog():
    clock = ManualClock()
    sensor = Scripted("phone", "imu_phone")
    stage = Acquisition(sensor, clock, lambda _: None)
    clock.advance(3600)
    assert stage.problem == ""  # offline, and says so: at rest
    sensor.health.state = SensorState.ONLINE
    assert "sensor phone" in stage.problem


def test_chunks_that_nobody_takes_are_dropped_and_counted():
    sensor = Scripted("phone", "imu_phone")
    stage = Acquisition(sensor, SystemClock(), lambda _: None)
    chunk = Chunk("phone", np.zeros(1, np.int64), np.zeros((1, 6), np.float32))
    for _ in range(600):
        stage._take(chunk)
    assert sensor.health.dropped_chunks == 600 - 512
    assert len(stage.chunks) == 512


# -- pieces ------------------------------------------------------------------------------------------------


def percept_at(seconds: float, label: str, known: bool = True) -> Percept:
    found = TaskPercept("activity_recognition", label, 0.9, {label: 0.9}, {"imu_phone": 1.0}, -3.0, known)
    nothing = np.zeros((1, 1), np.float32)
    from edge_agent.types import Conditioning

    return Percept(
        1, round(seconds * 1e9), {found.task: found}, ("imu_phone",), (), Conditioning(nothing, nothing)
    )


def test_a_label_becomes_an_event_when_it_has_held():
    from edge_agent.events import Holds

    holds = Holds(1.0)
    script = [
        (0.0, "seated", True, None), (0.5, "seated", True, None), (1.0, "seated", True, ("seated", None)),
        (1.5, "seated", True, None), (2.0, "walking", True, None), (2.5, "seated", True, None),
        (3.0, "walking", True, None), (3.5, "walking", False, None), (4.0, "walking", True, None),
        (5.0, "walking", True, ("walking", "seated")), (6.0, "seated", False, None),
        (8.0, "walking", True, None),
    ]  # fmt: skip
    for seconds, label, known, expected in script:
        changes = holds.update(percept_at(seconds, label, known))
        assert [(c.found.label, c.previous) for c in changes] == ([expected] if expected else []), seconds


def test_what_makes_a_percept_new():
    from edge_agent.events import signature

    same = signature(percept_at(1, "seated"))
    assert signature(percept_at(2, "seated")) == same
    assert signature(percept_at(2, "walking")) != same
    assert signature(percept_at(2, "seated", known=False)) != same
    lacking = replace(percept_at(2, "seated"), missing_channels={"imu_phone": ("gyro_y",)})
    assert signature(lacking) != same, "a channel that went away is news, though the label is the same"
    assert signature(replace(lacking, end_ns=3)) == signature(lacking)
    other = replace(lacking, missing_channels={"imu_phone": ("gyro_z",)})
    assert signature(other) != signature(lacking)


def test_a_mailbox_keeps_the_newest_and_returns_what_it_dropped():
    from edge_agent.mailbox import Mailbox

    box: Mailbox[int] = Mailbox(2)
    assert [box.put(n) for n in range(4)] == [None, None, 0, 1]
    assert not box.offer(9)
    assert box.dropped == 2
    assert box.take(0) == 2
    assert box.take_all() == [3]
    assert box.take(0.01) is None


def test_latencies_and_usage_are_plausible():
    import os

    from edge_agent.vitals import Latencies, usage

    kept = Latencies()
    assert kept.summary() == {"count": 0, "p50": None, "p95": None, "max": None}
    for value in range(1, 101):
        kept.add(float(value))
    assert kept.summary() == {"count": 100, "p50": 50.5, "p95": 95.05, "max": 100.0}
    mine = usage([os.getpid()])
    assert mine.rss_bytes > 1_000_000
    assert mine.cpu_s > 0
    assert usage([2**22 + 1]).rss_bytes == 0
