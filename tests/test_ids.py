"""Identifiers: what a ULID decoder reads from them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.delivery.ids import new_id

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@given(st.integers(0, 2**48 - 1))
def test_an_id_is_26_digits_and_begins_with_its_milliseconds(milliseconds):
    identity = new_id(milliseconds * 1_000_000 + 999_999)
    assert len(identity) == 26
    value = 0
    for digit in identity:
        value = value * 32 + DIGITS.index(digit)
    assert value >> 80 == milliseconds


def test_ids_sort_by_time_and_none_comes_twice():
    ids = [new_id(n * 1_000_000) for n in range(2000)]
    assert ids == sorted(ids)
    randoms = {identity[10:] for identity in ids}
    assert len(randoms) == 2000
    for place in range(16):
        assert len({random[place] for random in randoms}) > 20, "every digit of the random part varies"
