"""Names of channels in short: what is shortened comes back, and patterns cannot be abused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.channel_names import expand, shorten


def test_a_run_is_one_pattern() -> None:
    names = [*(f"px_{i:02}" for i in range(16)), "ambient"]
    assert shorten(names) == ["px_[00..15]", "ambient"]
    assert expand(shorten(names)) == tuple(names)


def test_few_names_stay_as_they_are() -> None:
    assert shorten(["acc_x", "acc_y", "acc_z"]) == ["acc_x", "acc_y", "acc_z"]
    assert shorten(["touch_1", "touch_2"]) == ["touch_1", "touch_2"]


@given(st.text("ab_", max_size=3), st.integers(0, 1200), st.integers(1, 1200), st.integers(1, 4))
def test_every_run_comes_back(stem: str, first: int, count: int, digits: int) -> None:
    names = [f"{stem}{i:0{digits}d}" for i in range(first, first + count)]
    assert expand(shorten(names)) == tuple(names)


@given(st.lists(st.text("ab_0123456789", min_size=1, max_size=8), max_size=12))
def test_any_names_come_back(names: list[str]) -> None:
    assert expand(shorten(names)) == tuple(names)


@pytest.mark.parametrize("pattern", ["px_[5..4]", "px_[0..999999]"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="no run"):
        expand([pattern])


def test_one_string_is_no_list() -> None:
    with pytest.raises(ValueError, match="list of names"):
        expand("acc_x")
