"""`make demo VOICE=1`: the two files that it leaves hold the question and the answer, spoken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from voice_rig import SPOKEN, alike, overheard

from edge_agent import demo_voice
from edge_agent.demo_room import missing
from edge_agent.errors import VoiceError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_question_and_its_answer_stay_to_be_listened_to(
    tmp_path: Path, shipped_model: Path, capsys: pytest.CaptureFixture[str]
):
    if lacking := missing():
        pytest.skip(lacking)
    assert demo_voice.demo(shipped_model, tmp_path) == 0
    said = re.search(r"it answers: +(.+)", capsys.readouterr().out)
    assert said
    assert alike(overheard(tmp_path / "demo-question.wav"), demo_voice.QUESTION) > SPOKEN
    assert alike(overheard(tmp_path / "demo-answer.wav"), said[1]) > SPOKEN
    assert alike(demo_voice.QUESTION, said[1]) < SPOKEN


def test_what_the_machine_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceError, match="left out: not installed") as caught:
        demo_voice.demo(tmp_path)
    assert "apt install" in caught.value.hint
