"""Questions as people put them: shortened and framed, and never into a wording that is held out."""

from __future__ import annotations

import numpy as np
import pytest

from export.everyday import framed, put, telling
from export.questions import split
from export.wordings import WORDINGS


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        ("what is the kind of trip", "kind trip"),
        ("why is the person {x}", "why person {x}"),
        ("who is that", "who is that"),  # "who" alone is too little
        ("what is it", "what is it"),
        ("movement", "movement"),
    ],
)
def test_the_telling_words_are_kept(whole: str, short: str) -> None:
    assert telling(whole) == short


@pytest.mark.parametrize("name", sorted(WORDINGS))
def test_no_shortened_wording_is_one_that_is_held_out(name: str) -> None:
    rng = np.random.default_rng(0)
    held_out = split(WORDINGS[name].query, held_out=True)
    for wording in split(WORDINGS[name].query, held_out=False):
        assert not {put(rng, wording, held_out) for _ in range(60)} & set(held_out)


def test_a_wording_is_mostly_whole_and_sometimes_short_or_framed() -> None:
    rng = np.random.default_rng(1)
    found = [put(rng, "what is the kind of trip", ()) for _ in range(500)]
    assert 200 < found.count("what is the kind of trip") < 350
    assert "kind trip" in found
    assert any("kind trip" in text and text != "kind trip" for text in found)


def test_a_frame_keeps_the_wording_whole() -> None:
    rng = np.random.default_rng(2)
    assert all("is it {x} or {y}" in framed(rng, "is it {x} or {y}") for _ in range(100))
