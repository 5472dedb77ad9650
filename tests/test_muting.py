"""A sensor that is muted is closed, stays so, and disturbs nobody."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from agent_process import NODE, configuration
from conftest import Mosquitto, free_port, wait_for
from hot_plug_devices import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Listener
from test_cli import run
from test_runtime import SCRIPTED, Scripted

from edge_agent import config
from edge_agent.assembly import MakeSensors, assemble
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.delivery.commands import Commands
from edge_agent.delivery.message import Incoming
from edge_agent.muting import Either, Muting, UnknownSensorError
from edge_agent.orders import Orders
from edge_agent.runtime import Agent
from edge_agent.stages import Acquisition
from edge_agent.types import Chunk, SensorState


class Device:
    def __init__(self) -> None:
        self.muted = False

    def mute(self, *, on: bool) -> None:
        self.muted = on


def muting(folder: Path, clock: ManualClock, *names: str, muted: tuple[str, ...] = ()) -> Muting:
    devices = {name: Device() for name in names or ("mic", "board")}
    return Muting(devices, clock, folder / "muted.json", streams={"phone": "board"}, muted=muted)


def test_what_is_asked_for_a_time_ends_with_it(tmp_path: Path):
    clock = ManualClock()
    sensors = muting(tmp_path, clock)
    sensors.mute("mic", on=True, for_s=60)
    clock.advance(59)
    sensors.tick()
    assert sensors.muted("mic")
    clock.advance(2)
    sensors.tick()
    assert not sensors.muted("mic")
    sensors.mute("board", on=True)
    sensors.mute("board", on=False, for_s=5)
    assert not sensors.muted("board")
    clock.advance(6)
    sensors.tick()
    assert sensors.muted("board")


def test_a_muted_sensor_is_muted_after_a_restart_too(tmp_path: Path):
    first = muting(tmp_path, ManualClock())
    first.mute("mic", on=True, for_s=60)
    first.mute("board", on=True)
    clock = ManualClock()
    second = muting(tmp_path, clock)
    assert second.muted("mic")
    clock.advance(61)
    second.tick()
    assert not second.muted("mic")
    assert second.muted("board")
    second.mute("board", on=False)
    third = muting(tmp_path, ManualClock())
    assert not third.muted("mic")
    assert not third.muted("board")


def test_what_the_configuration_mutes_is_muted_again_after_a_restart(tmp_path: Path):
    first = muting(tmp_path, ManualClock(), muted=("mic",))
    assert first.muted("mic")
    first.mute("mic", on=False)
    assert not first.muted("mic")
    assert muting(tmp_path, ManualClock(), muted=("mic",)).muted("mic")


def test_a_sensor_that_left_the_configuration_is_forgotten(tmp_path: Path):
    muting(tmp_path, ManualClock()).mute("mic", on=True)
    assert not muting(tmp_path, ManualClock(), "board").muted("board")


@pytest.mark.parametrize("text", ["", "[1]", '{"mic": "x"}', '{"mic": [1]}', "\xff"])
def test_when_it_is_not_known_what_was_muted_everything_is(tmp_path: Path, text: str):
    (tmp_path / "muted.json").write_bytes(text.encode("latin-1"))
    sensors = muting(tmp_path, ManualClock())
    assert sensors.muted("mic")
    sensors.mute("mic", on=False)
    assert not sensors.muted("mic")


def test_a_wrong_name_is_told_with_what_there_is(tmp_path: Path):
    sensors = muting(tmp_path, ManualClock())
    with pytest.raises(UnknownSensorError, match='no sensor "camera"') as caught:
        sensors.mute("camera", on=True)
    assert "mic, board" in caught.value.hint
    with pytest.raises(UnknownSensorError, match='the device of "board"') as caught:
        sensors.mute("phone", on=True)
    assert 'mute "board"' in caught.value.hint


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["mic", "board"]), st.booleans(), st.none() | st.floats(0.5, 100).map(float)
        ),
        st.floats(0.1, 80),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(ACTIONS)
def test_the_last_order_counts_until_its_time_is_over(
    tmp_path_factory: pytest.TempPathFactory, actions: list
):
    clock, now_s = ManualClock(), 0.0
    sensors = muting(tmp_path_factory.mktemp("state"), clock)
    expected: dict[str, tuple[bool, float]] = {"mic": (False, np.inf), "board": (False, np.inf)}
    for action in actions:
        if isinstance(action, float):
            now_s += action
            clock.advance(action)
        else:
            name, on, for_s = action
            sensors.mute(name, on=on, for_s=for_s)
            expected[name] = (on, np.inf if for_s is None else now_s + for_s)
        sensors.tick()
        for name, (on, until_s) in expected.items():
            if abs(until_s - now_s) > 1e-6:
                assert sensors.muted(name) is (on if now_s < until_s else not on)


def test_either_of_two_events_ends_a_wait():
    whole = threading.Event()
    part = Either(whole)
    assert not part.wait(0.12)
    threading.Timer(0.1, part.set).start()
    assert part.wait(20)
    assert not whole.is_set()
    other = Either(whole)
    threading.Timer(0.1, whole.set).start()
    assert other.wait()
    assert other.is_set()


# -- one thread ------------------------------------------------------------------------------------------


class Opened(Scripted):
    """Knows whether its device is open."""

    open = False

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        self.open = True
        try:
            yield from super().chunks(stop)
        finally:
            self.health.state, self.health.reason = SensorState.OFFLINE, "stopped"
            self.open = False


@contextmanager
def acquiring(sensor: Scripted, *, muted: bool = False) -> Iterator[Acquisition]:
    source, stop = (
        Acquisition(sensor, SystemClock(), lambda error: pytest.fail(str(error))),
        threading.Event(),
    )
    source.mute(on=muted)
    thread = threading.Thread(target=source.run, args=(stop,), daemon=True)
    thread.start()
    yield source
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_its_thread_leaves_the_driver_and_comes_back():
    sensor = Opened("phone", "imu_phone")
    with acquiring(sensor) as source:
        wait_for(lambda: len(source.chunks), what="a chunk")
        source.mute(on=True)
        wait_for(lambda: source.muted, what="the silence")
        assert not sensor.open
        assert (sensor.health.state, sensor.health.reason) == (SensorState.MUTED, "muted")
        source.chunks.take_all()
        threading.Event().wait(0.3)
        assert not len(source.chunks)
        assert source.problem == ""
        source.mute(on=False)
        wait_for(lambda: len(source.chunks), what="a chunk")
        assert sensor.open
        assert sensor.health.state is SensorState.ONLINE
        assert not source.muted
    assert sensor.starts == 2


def test_a_sensor_that_is_muted_from_the_start_is_never_opened():
    sensor = Opened("phone", "imu_phone")
    with acquiring(sensor, muted=True) as source:
        wait_for(lambda: source.muted, what="the silence")
        assert sensor.starts == 0
    assert sensor.starts == 0


def test_a_driver_with_a_fault_is_muted_at_once():
    sensor = Opened("phone", "imu_phone")
    with acquiring(sensor) as source:
        wait_for(lambda: len(source.chunks), what="a chunk")
        sensor.fault = RuntimeError("the driver tripped")
        wait_for(lambda: "tripped" in sensor.health.reason, what="the fault")
        source.mute(on=True)
        wait_for(lambda: source.muted, what="the silence")
    assert sensor.starts == 1


def test_it_can_be_toggled_faster_than_it_follows():
    sensor = Opened("phone", "imu_phone")
    with acquiring(sensor) as source:
        for n in range(101):
            source.mute(on=n % 2 == 0)
        wait_for(lambda: source.muted and not sensor.open, what="the silence")
        source.mute(on=False)
        wait_for(lambda: sensor.open, what="the return")
        assert not source.finished


# -- whole agents ----------------------------------------------------------------------------------------


@contextmanager
def agent(file: Path, make: MakeSensors | None = None) -> Iterator[Agent]:
    running = Agent(assemble(config.load(file), SystemClock(), make))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    yield running
    running.stop()
    thread.join(15)
    assert not thread.is_alive()


def test_an_agent_goes_on_without_the_sensor_that_is_muted(shipped_model: Path, tmp_path: Path):
    sensors = [Opened("phone", "imu_phone"), Opened("watch", "imu_watch")]
    file = configuration(tmp_path, shipped_model, free_port(), sensors=SCRIPTED)
    with agent(file, lambda *_: list(sensors)) as running:
        wait_for(lambda: running.inference.latest and len(running.inference.latest.present) == 2)
        running.mute("phone", on=True)
        wait_for(lambda: running.muting.muted("phone"), what="the silence")
        wait_for(lambda: running.inference.latest.present == ("imu_watch",), what="a percept without it")
        assert sensors[1].starts == 1
        assert sensors[1].health.state is SensorState.ONLINE
        with pytest.raises(UnknownSensorError):
            running.mute("nose", on=True)
    # Started again it still is, and the configuration may say so as well.
    muted = SCRIPTED.replace('name = "watch"', 'name = "watch"\nmuted = true')
    file = configuration(tmp_path, shipped_model, free_port(), sensors=muted)
    sensors = [Opened("phone", "imu_phone"), Opened("watch", "imu_watch")]
    with agent(file, lambda *_: list(sensors)) as running:
        wait_for(lambda: running.muting.muted("phone") and running.muting.muted("watch"), what="the silence")
        wait_for(lambda: running.inference.latest, what="a percept")
        assert [sensor.starts for sensor in sensors] == [0, 0]
        running.mute("watch", on=False)
        wait_for(lambda: running.inference.latest.present == ("imu_watch",), what="the return")


class Slow(Device):
    """Is closed only when its driver lets go of it."""

    def mute(self, *, on: bool) -> None:
        pass


def test_who_mutes_hears_that_it_is_closed_when_it_is_and_not_before(shipped_model: Path, tmp_path: Path):
    clock, mic = ManualClock(10**9), Slow()
    file = configuration(tmp_path, shipped_model, free_port(), sensors=SCRIPTED)
    parts = assemble(config.load(file), clock)
    sensors = Muting({"mic": mic}, clock, tmp_path / "muted.json", streams={})
    commands = Commands(parts.topics, ("mute",), clock)
    orders = Orders(parts, commands, lambda _: None, sensors, Reports(), None)

    def told(identity: str) -> list[bool]:
        return [json.loads(m.payload)["mute"]["closed"] for m in orders.due() if m.topic.endswith(identity)]

    for identity, closes in (("a1", True), ("a2", False)):
        body = json.dumps({"id": identity, "sensor": "mic", "muted": True}).encode()
        assert orders.on_command(Incoming(f"{NODE}/cmd/mute", body)) == []
        assert told(identity) == []
        clock.advance(4.9)
        assert told(identity) == []
        mic.muted = closes
        clock.advance(0.2)
        assert told(identity) == [closes]
        mic.muted = False


class Reports:
    def status(self) -> dict[str, object]:
        return {}

    def snapshot(self) -> dict[str, object]:
        return {}


def opened(path: str) -> int:
    """How often this process has a file open, whatever name was used."""
    real = os.path.realpath(path)
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += str(entry.readlink()) == real
        except FileNotFoundError:
            continue  # of the iteration itself
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "microphone"])
def test_every_kind_of_sensor_is_closed_and_opened_again(
    kind: str, broker: Mosquitto, shipped_model: Path, tmp_path: Path
):
    """The microphone needs a process of its own: tests/test_commands_agent.py mutes it over MQTT."""
    neighbour = "[[sensor]]\nkind = 'i2c'\nname = 'room'\nchip = 'd6t'\nbus = 'simulated'\n"
    with Listener(broker.port) as listener, contextmanager(KINDS[kind])(tmp_path, listener) as device:
        tables = f"[[sensor]]\n{device.table}\n{neighbour}"
        file = configuration(tmp_path, shipped_model, broker.port, sensors=tables, health_s=0.2)
        port = str(tmp_path / "port")
        before = opened(port)
        owner = "board" if kind == "board" else device.name
        state = f"{NODE}/sensor/{device.name}/state"
        with agent(file, device.make) as running:
            listener.wait(state, lambda m: m["state"] == "online" and m["samples"] > 1, 60)
            room = listener.wait(f"{NODE}/sensor/room/state", lambda m: m["samples"] > 1)
            if Path(port).exists():
                assert opened(port) == before + 1
            running.mute(owner, on=True)
            told = listener.wait(state, lambda m: m["state"] == "muted")
            assert told["reason"] == "muted"
            assert opened(port) == before
            heard = len(listener.heard)
            quiet = f"{state} while it is muted"
            later = wait_for(lambda: [m for m in listener.on(state) if m["state"] == "muted"][2:], 20, quiet)
            assert {body["samples"] for body in later} == {told["samples"]}  # type: ignore[union-attr]
            running.mute(owner, on=False)

            def back() -> list[dict]:
                since = [m for m in list(listener.heard)[heard:] if m.topic == state]
                return [b for m in since if (b := json.loads(m.payload))["samples"] > told["samples"]]

            assert wait_for(back, what="the return")[0]["state"] == "online"  # type: ignore[index]
            calm = listener.wait(f"{NODE}/sensor/room/state", lambda m: m["samples"] > room["samples"] + 4)
            assert {body["state"] for body in listener.on(f"{NODE}/sensor/room/state")} <= {
                "online",
                "offline",
            }
            # What a busy machine reads too late counts as lost, with or without a neighbour.
            assert (calm["errors"], calm["reconnects"], calm["state"]) == (0, 0, "online")
            listener.validate()


@pytest.mark.e2e
def test_what_is_muted_is_not_recorded_either(shipped_model: Path, tmp_path: Path):
    tables = "".join(
        f"[[sensor]]\nkind = 'simulated'\nname = '{name}'\nslot = '{slot}'\n{more}\n"
        for name, slot, more in (
            ("phone", "imu_phone", ""), ("watch", "imu_watch", ""), ("sound", "audio", "muted = true")
        )
    )  # fmt: skip
    file = configuration(tmp_path, shipped_model, 1883, sensors=tables)
    muting_file = config.load(file).node.state_directory / "muted.json"
    muting_file.parent.mkdir(parents=True)
    muting_file.write_text('{"watch": 60}')
    pytest.importorskip("mcap", reason="pip install 'iotlm-edge[record]'")
    out = tmp_path / "a.mcap"
    done = run("record", "-c", file, "-o", out, "--duration", "1")
    assert done.returncode == 0, done.stderr
    assert 'sensor "sound" is muted' in done.stderr
    facts = json.loads(run("record", "info", out, "--json").stdout)
    assert "phone" in json.dumps(facts)
    told = {name for name in ("phone", "watch", "sound") if facts["sensors"].get(name, {}).get("chunks")}
    assert told == {"phone"}
    muting_file.write_text('{"watch": null, "phone": null}')
    none = run("record", "-c", file, "-o", tmp_path / "b.mcap", "--duration", "1")
    assert none.returncode == 1
    assert "every sensor is muted" in none.stderr
