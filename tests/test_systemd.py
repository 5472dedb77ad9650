"""sd_notify against a real datagram socket."""

from __future__ import annotations

import os
import socket

import pytest

from edge_agent.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """(what $NOTIFY_SOCKET says, the service manager's end)."""
    name = f"edge-agent-test-{os.getpid()}"
    said = str(tmp_path / "notify") if request.param == "path" else f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(said if request.param == "path" else f"\0{name}")
        receiver.settimeout(5)
        yield said, receiver


def test_each_state_arrives_as_one_datagram(manager):
    said, receiver = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": said})
    assert notifier.ready("3 sensors")
    assert receiver.recv(4096) == b"READY=1\nSTATUS=3 sensors"
    assert notifier.alive()
    assert receiver.recv(4096) == b"WATCHDOG=1"
    assert notifier.status("seated (0.97)")
    assert receiver.recv(4096) == b"STATUS=seated (0.97)"
    assert notifier.stopping()
    assert receiver.recv(4096) == b"STOPPING=1"


def test_a_line_break_in_the_status_cannot_forge_a_state(manager):
    said, receiver = manager
    Notifier(said).status("all well\nMAINPID=1")
    assert receiver.recv(4096) == b"STATUS=all well MAINPID=1"


def test_without_a_manager_nothing_happens(tmp_path):
    assert not Notifier.from_environment({}).ready()
    assert not Notifier.from_environment({"NOTIFY_SOCKET": ""}).ready()
    assert not Notifier(str(tmp_path / "nobody-listens")).ready()


def test_a_manager_that_does_not_read_cannot_stop_the_agent(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "deaf"))
        notifier = Notifier(str(tmp_path / "deaf"))
        sent = 0
        while notifier.status("x" * 1000):  # until the socket is full
            sent += 1
        assert sent > 0
    assert not notifier.alive()


@pytest.mark.parametrize(
    ("variables", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_due_at_half_its_limit(variables, interval_s):
    assert Notifier.from_environment(variables).watchdog_interval_s == interval_s
