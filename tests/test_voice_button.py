"""The push-to-talk button: lines, bounces, and a real port that goes and comes back."""

from __future__ import annotations

import os
import pty
import threading
import tty
from pathlib import Path

import pytest
from conftest import wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config_voice import Button
from edge_agent.types import SensorHealth
from edge_agent.voice.button import ButtonSession, ButtonStage

S = 1_000_000_000


def session(**more: object) -> tuple[ButtonSession, list[int]]:
    presses: list[int] = []
    made = ButtonSession(Button(port="/dev/x", **more), SensorHealth(), lambda: presses.append(1))
    return made, presses


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, 5), max_size=30), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_line_is_a_press_however_it_arrives(cuts: list[int], end: bytes):
    made, presses = session()
    data = b"hello" + end + b"pressed" + end
    for cut in [*cuts, len(data)]:
        made.receive(data[:cut], S)
        data = data[cut:]
    assert len(presses) == 1


def test_bounces_are_one_press():
    made, presses = session(debounce_s=0.3)
    for now_s in (1.0, 1.1, 1.35, 1.6):
        made.receive(b"pressed\n", round(now_s * S))
    assert len(presses) == 1
    made.receive(b"pressed\n", 2 * S)
    assert len(presses) == 2


@settings(max_examples=60, deadline=None)
@given(noise=st.lists(st.binary(max_size=400), max_size=10))
def test_noise_breaks_nothing(noise: list[bytes]):
    made, presses = session()
    for data in noise:
        made.receive(data, S)
    before = len(presses)
    made.receive(b"\npressed\n", 10 * S)
    assert len(presses) == before + 1


def test_a_button_on_a_real_port_is_heard_and_comes_back(tmp_path: Path):
    link, presses, stop = tmp_path / "button", [], threading.Event()
    ours, its = pty.openpty()
    tty.setraw(its)
    link.symlink_to(os.ttyname(its))
    button = Button(port=str(link), debounce_s=0.0)
    stage = ButtonStage(button, lambda: presses.append(1), pytest.fail)
    thread = threading.Thread(target=stage.run, args=(stop,))
    thread.start()
    try:

        def pressed(line: int, wanted: int) -> None:
            def press() -> bool:
                os.write(line, b"pressed\n")
                return len(presses) >= wanted

            wait_for(press, 20, "a press")

        pressed(ours, 1)
        link.unlink()
        os.close(its)
        os.close(ours)
        ours, its = pty.openpty()
        tty.setraw(its)
        link.symlink_to(os.ttyname(its))
        pressed(ours, len(presses) + 1)
    finally:
        stop.set()
        thread.join(10)
        os.close(ours)
        os.close(its)
    assert not thread.is_alive()
