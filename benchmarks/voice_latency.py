"""From the end of a question to the first sound of its answer: `python -m benchmarks.voice_latency`.

The whole agent before a virtual sound card, as `make demo VOICE=1` runs it: the held-out questions of
benchmarks/voice.py are played to its microphone, and its loudspeaker is listened to. The end is that of the
last word, so the pause that ends a question (`pause_s`) counts. Exit code 1: a target missed.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console

from benchmarks.timing import DEFAULT_MODEL
from benchmarks.voice_questions import HELD_OUT
from benchmarks.voice_sound import VOICES
from edge_agent import demo_voice
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.sending import Sender
from edge_agent.demo_processes import broker
from edge_agent.demo_room import LOUD, Recording, Room
from edge_agent.voice import recogniser

TARGET_P95_S = 1.5
TARGET_RSS_MIB = 150.0
SILENCE_AFTER_S = 0.5
"""What `Room.say` plays after the last word."""
_PATIENCE_S = 30.0
_WARM_UP = 2


class Agent:
    """The agent of the demo in a room, and who asks it."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._broker, _ = stack.enter_context(broker(folder))
        self.room = Room(folder)
        stack.callback(self.room.unplug)
        self.room.plug()
        stack.enter_context(demo_voice._board(folder, Console(quiet=True)))  # noqa: SLF001
        stack.enter_context(demo_voice._agent(folder, DEFAULT_MODEL, self._broker, self.room))  # noqa: SLF001
        self._heard = demo_voice._Heard(self._broker)  # noqa: SLF001
        stack.callback(self._heard.close)
        self.wait("waiting")

    def wait(self, state: str) -> None:
        """Until the voice loop is in a state."""
        self._heard.until("voice/state", lambda body: body["state"] == state)

    def order(self, body: dict[str, object]) -> None:
        """The command `talk`."""
        with Sender(self._broker, demo_voice.NODE, new_id(time.time_ns())) as sender:
            sender.order("talk", body, identity=new_id(time.time_ns()), timeout_s=_PATIENCE_S)

    def latency_s(self, question: str, voice: str) -> float:
        """Ask, and wait for the first sound; infinite where there is none."""
        with self.room.recording() as recording:
            self.order({})
            self.wait("listening")
            self.room.say(question, voice)
            end_s = time.monotonic() - SILENCE_AFTER_S
            first_s = _first_sound_s(recording)
        self.order({"stop": True})
        self.wait("waiting")
        return first_s - end_s


def _first_sound_s(recording: Recording) -> float:
    """When somebody speaks next."""
    never, so_far, deadline_s = threading.Event(), len(recording.samples), time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        if (np.abs(recording.samples[so_far:].astype(np.int32)) > LOUD).any():
            return time.monotonic()
        never.wait(0.01)
    return float("inf")


def recogniser_rss_mib() -> float:
    """Resident memory of the recogniser's process, which this one started through the agent."""
    found = [p for p in psutil.Process().children(recursive=True) if recogniser.MODULE in p.cmdline()]
    return float(max(p.memory_info().rss for p in found)) / (1 << 20)


def main() -> int:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every sixth question")
    questions = HELD_OUT[:: 6 if parser.parse_args().quick else 1]
    with ExitStack() as stack:
        agent = Agent(stack)
        for question in HELD_OUT[:_WARM_UP]:
            agent.latency_s(question, VOICES[0])
        ways = zip(questions, itertools.cycle(VOICES), strict=False)
        latencies_s = [agent.latency_s(question, voice) for question, voice in ways]
        rss_mib = recogniser_rss_mib()
    p50_s, p95_s = np.percentile(latencies_s, [50, 95], method="nearest")
    print(f"end of speech to first sound, {len(latencies_s)} questions: p50 {p50_s:.2f} s, p95 {p95_s:.2f} s")
    print(f"recogniser: {rss_mib:.0f} MiB resident")
    return 1 if p95_s > TARGET_P95_S or rss_mib > TARGET_RSS_MIB else 0


if __name__ == "__main__":
    sys.exit(main())
