"""TLS to real mosquittos under a private CA: who is not trusted gets nothing, and nothing is lost over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_ear import Ear, all_heard
from certificates import Authority, Signed
from conftest import Mosquitto, free_port, wait_for
from delivering_thread import at_work

from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt, Tls
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import Publisher
from edge_agent.delivery.room import Limits

LIMITS = Limits(10_000_000, dict.fromkeys(Kind, 3600.0))
COUNT = 50
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca", "a private CA")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca", "another CA")


@contextmanager
def secured(folder: Path, server: Signed, more: str = "") -> Iterator[tuple[int, int]]:
    """(port with TLS, port without) of a mosquitto."""
    port = free_port()
    broker = Mosquitto(
        folder,
        f"allow_anonymous true\nuser root\nlistener {port} 127.0.0.1\n"
        f"certfile {server.certificate}\nkeyfile {server.key}\n{more}",
    )
    broker.start()
    try:
        yield port, broker.port
    finally:
        broker.stop()


@contextmanager
def delivering(
    folder: Path, port: int, tls: Tls, protocol: str = "5"
) -> Iterator[tuple[Publisher, set[str]]]:
    """A publisher with messages in its outbox, and their ids."""
    outbox = Outbox(folder / "outbox.sqlite", LIMITS, SystemClock())
    settings = Mqtt(host="localhost", port=port, protocol=protocol, tls=tls)  # type: ignore[arg-type]
    publisher = Publisher(settings, client_id="n", outbox=outbox, backoff=FullJitter(0.05, 0.2))
    publisher.open()
    body = b'{"filler":"' + b"x" * 2000 + b'"}'
    ids = outbox.accept_all([Message("edge/n/event/x", body, kind=Kind.EVENT, source="event")] * COUNT)
    with at_work(publisher):
        yield publisher, {identity for identity in ids if identity is not None}


def reported(publisher: Publisher) -> tuple[str, str]:
    """(why, hint) of the first failure."""
    wait_for(lambda: publisher.status.hint, what="the report")
    return publisher.status.reason, publisher.status.hint


@PROTOCOLS
def test_what_waits_arrives_over_tls(tmp_path: Path, authority: Authority, protocol: str):
    with secured(tmp_path, authority.sign("localhost")) as (port, plain):
        ear = Ear(plain)
        tls = Tls(ca_file=authority.certificate)
        with delivering(tmp_path, port, tls, protocol) as (publisher, ids):
            all_heard(ear, ids)
            wait_for(lambda: publisher.queued == 0, what="the acknowledgements")
        ear.close()


@pytest.mark.parametrize(
    ("fault", "reason", "hint"),
    [
        ("wrong CA", "unable to get local issuer certificate", "mqtt.tls.ca_file"),
        ("expired", "certificate has expired", "clock"),
        ("wrong host name", "Hostname mismatch", "mqtt.host"),
    ],
)
def test_a_broker_that_is_not_trusted_is_told_of_and_gets_nothing(
    tmp_path: Path, authority: Authority, stranger: Authority, fault: str, reason: str, hint: str
):
    name = "elsewhere" if fault == "wrong host name" else "localhost"
    bad = (stranger if fault == "wrong CA" else authority).sign(name, expired=fault == "expired")
    tls = Tls(ca_file=authority.certificate)
    with (
        secured(tmp_path, bad) as (port, plain),
        delivering(tmp_path, port, tls) as (publisher, ids),
    ):
        ear = Ear(plain)
        why, next_step = reported(publisher)
        assert f"the broker at localhost:{port} is not trusted: " in why
        assert reason in why
        assert hint in next_step
        wait_for(lambda: publisher.status.steps > 3, what="further attempts")
        assert publisher.queued == len(ids) == COUNT
        assert ear.close() == []
    (tmp_path / "mended").mkdir()
    with secured(tmp_path / "mended", authority.sign("localhost")) as (port, plain):
        ear = Ear(plain)
        with delivering(tmp_path, port, tls) as (publisher, more):
            all_heard(ear, ids | more)
            wait_for(lambda: publisher.queued == 0, what="the acknowledgements")
        assert set(ear.close()) == ids | more, "all that waited, once the certificate was right"


@PROTOCOLS
def test_a_broker_that_wants_certificates_is_shown_ours(tmp_path: Path, authority: Authority, protocol: str):
    """Mutual TLS: who shows none, or one of another CA, is refused and told what is wrong."""
    client = authority.sign("kitchen")
    wants = f"cafile {authority.certificate}\nrequire_certificate true"
    with secured(tmp_path, authority.sign("localhost"), wants) as (port, plain):
        ear = Ear(plain)
        tls = Tls(ca_file=authority.certificate)
        with delivering(tmp_path, port, tls, protocol) as (publisher, ids):
            why, hint = reported(publisher)
            assert "the broker ends the TLS connection: certificate required" in why
            assert "mqtt.tls.certificate_file" in hint
            assert publisher.queued == COUNT
        shown = tls.model_copy(update={"certificate_file": client.certificate, "key_file": client.key})
        with delivering(tmp_path, port, shown, protocol) as (publisher, more):
            all_heard(ear, ids | more)
            wait_for(lambda: publisher.queued == 0, what="the acknowledgements")
        ear.close()


@pytest.mark.parametrize(
    ("fault", "reason"), [("unknown CA", "unknown ca"), ("expired", "certificate expired")]
)
def test_a_certificate_of_ours_that_is_not_taken_is_told_of(
    tmp_path: Path, authority: Authority, stranger: Authority, fault: str, reason: str
):
    bad = (stranger if fault == "unknown CA" else authority).sign("kitchen", expired=fault == "expired")
    wants = f"cafile {authority.certificate}\nrequire_certificate true"
    tls = Tls(ca_file=authority.certificate, certificate_file=bad.certificate, key_file=bad.key)
    with (
        secured(tmp_path, authority.sign("localhost"), wants) as (port, _),
        delivering(tmp_path, port, tls) as (publisher, _),
    ):
        why, hint = reported(publisher)
        assert f"the broker ends the TLS connection: {reason}" in why
        assert "mqtt.tls.certificate_file" in hint
        assert publisher.queued == COUNT


def test_tls_to_a_port_without_is_told_of(broker: Mosquitto, tmp_path: Path, authority: Authority):
    with delivering(tmp_path, broker.port, Tls(ca_file=authority.certificate)) as (publisher, _):
        why, hint = reported(publisher)
        assert "no broker at localhost" in why
        assert hint
        assert publisher.queued == COUNT
