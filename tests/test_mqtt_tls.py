"""TLS to a real mosquitto with a certificate of our own."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import Mosquitto, wait_for

from edge_agent.config import Mqtt, Tls
from edge_agent.delivery.message import Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.publisher import Publisher
from edge_agent.errors import DeliveryError


@pytest.fixture
def secured(tmp_path: Path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    broker = Mosquitto(tmp_path, f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\nuser root")
    broker.start()
    yield broker, certificate
    broker.stop()


def settings(port: int, ca: Path | None, protocol: str = "5", host: str = "localhost") -> Mqtt:
    return Mqtt(host=host, port=port, protocol=protocol, tls=Tls(ca_file=ca))  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_messages_go_over_tls(secured: tuple[Mosquitto, Path], protocol: str):
    broker, certificate = secured
    birth = Message("edge/n/state", b"{}", retain=True)
    publisher = Publisher(
        settings(broker.port, certificate, protocol), client_id="n", birth=birth, will=birth
    )
    stop = threading.Event()
    thread = threading.Thread(target=publisher.run, args=(stop,), daemon=True)
    thread.start()
    try:
        for n in range(50):
            publisher.publish(Message("edge/n/percept/main", b"%d" % n * 2000))
        wait_for(lambda: publisher.status.acknowledged == 51, what="delivery")
    finally:
        stop.set()
        publisher.wake()
        thread.join(5)
        assert not thread.is_alive()


def test_a_certificate_that_is_not_trusted_is_refused(secured: tuple[Mosquitto, Path]):
    broker, _ = secured
    connection = Connection(settings(broker.port, None), client_id="n")
    with pytest.raises(DeliveryError, match="certificate") as caught:
        connection.open()
    assert "ca_file" in caught.value.hint
    connection.close()


def test_a_broker_of_another_name_is_refused(secured: tuple[Mosquitto, Path]):
    broker, certificate = secured
    connection = Connection(settings(broker.port, certificate, host="127.0.0.1"), client_id="n")
    with pytest.raises(DeliveryError) as caught:
        connection.open()
    assert "mqtt.host" in caught.value.hint
    connection.close()
