"""Whole agents as Sparkplug edge nodes: killed, ended, with and without the JSON topics."""

import signal
from pathlib import Path

import pytest
from agent_process import AgentProcess, board, configuration
from conftest import Mosquitto
from listening import Listener
from sparkplug_host import Host, HostClient

pytestmark = pytest.mark.e2e


def with_sparkplug(file: Path, extra: str = "") -> Path:
    text = file.read_text()
    file.write_text(f'{text}\n[sparkplug]\nenabled = true\ngroup_id = "plant"\n{extra}')
    return file


def test_a_killed_agent_dies_under_its_birth_number_and_comes_back_with_the_next(
    broker: Mosquitto, shipped_model: Path, tmp_path: Path
):
    file = with_sparkplug(configuration(tmp_path, shipped_model, broker.port))
    host = Host()
    with HostClient(broker.port, host) as client, Listener(broker.port, "edge/#") as json, board(tmp_path):
        with AgentProcess(file) as agent:
            client.wait(lambda: {"phone", "watch", "sound"} <= set(host.devices), "the sensors", 60)
            seen = host.devices["perception"].values
            client.wait(lambda: seen["activity_recognition/Label"], "a percept", 30)
            client.wait(lambda: host.devices[""].values["Health/Percepts"], "the health", 30)
            assert host.devices["phone"].values["Slot"] == "imu_phone"
            assert seen["Simulated"] == 1
            json.wait("edge/kitchen/percept")
            json.wait("edge/kitchen/health", lambda m: m["sparkplug"]["connected"])
            agent.end(signal.SIGKILL)
        client.wait(lambda: host.of("NDEATH"), "the will", 60)
        assert [one.metrics for one in host.of("NDEATH")] == [{"bdSeq": 0}]
        assert not host.devices
        with AgentProcess(file) as agent:
            client.wait(lambda: {"phone", "watch", "sound"} <= set(host.devices), "the sensors again", 60)
            client.wait(lambda: host.old, "what the killed agent could not confirm", 30)
            client.rebirth()
            client.wait(lambda: len(host.of("NBIRTH")) >= 3, "the rebirth", 30)
            code, _ = agent.end()
        assert code == 0
        client.wait(lambda: len(host.of("NDEATH")) >= 2, "the farewell")
        births = [one.metrics["bdSeq"] for one in host.of("NBIRTH")]
        assert births[0] == 0
        assert set(births[1:]) == {1}
        assert {one.metrics["bdSeq"] for one in host.of("NDEATH")[1:]} == {1}
        json.validate()


def test_sparkplug_alone_says_nothing_in_json(broker: Mosquitto, shipped_model: Path, tmp_path: Path):
    sensors = '[[sensor]]\nkind = "simulated"\nname = "sound"\nslot = "audio"\n'
    file = configuration(tmp_path, shipped_model, broker.port, sensors=sensors)
    file.write_text(file.read_text().replace('commands = ["ask"]', ""))
    with_sparkplug(file, 'beside_json = false\nprimary_host_id = "scada"\n')
    host = Host()
    with HostClient(broker.port, host) as client, Listener(broker.port, "edge/#") as json:
        client.state(online=True, timestamp=1)
        with AgentProcess(file) as agent:
            client.wait(lambda: "sound" in host.devices, "the sensor", 60)
            client.wait(lambda: host.devices["perception"].values["event_detection/Label"], "a percept", 30)
            client.wait(lambda: host.devices[""].values["Store/Delivered"], "the store's books", 30)
            client.state(online=False, timestamp=2)
            client.wait(lambda: host.of("NDEATH"), "the death", 30)
            client.state(online=True, timestamp=3)
            client.wait(lambda: any(name.endswith("/Label") for _, name, _, _ in host.old), "history", 30)
            code, _ = agent.end()
        assert code == 0
        assert json.heard == []
