"""Pickles as data: what is plain comes back, what is a program is refused and never run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.datasets.paper import plain_pickle

RANDOM = np.random.default_rng(0)
NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(), st.binary()
)
PLAIN = st.recursive(
    NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)
)


@settings(deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_what_is_plain_comes_back_as_it_was(tmp_path_factory, value, protocol):
    path = tmp_path_factory.getbasetemp() / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert plain_pickle.read(path) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(RANDOM.normal(size=(3, 4))),
        np.arange(4, dtype=">f4"),
        np.zeros((0, 9)),
        np.array([True, False]),
        np.array(["a", "bcd"]),
        RANDOM.normal(size=1000).astype(np.float32),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back_as_they_were(tmp_path, protocol, array):
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps({"a": array, "again": array, "one": array.dtype.type(1)}, protocol))
    held = plain_pickle.read(path)
    assert np.array_equal(held["a"], array)
    assert held["a"].dtype == array.dtype
    assert held["again"] is held["a"]
    assert held["one"] == array.dtype.type(1)


def test_a_pickle_of_python_2_is_read(tmp_path):
    """Protocol 2 as Python 2 writes an array of two float64: strings instead of bytes."""
    raw = np.array([1.5, -2.0]).tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x02\x85" + dtype + b"\x89U" + bytes([len(raw)]) + raw + b"tb"
    (tmp_path / "two.pkl").write_bytes(b"\x80\x02}U\x01x" + array + state + b"s.")
    assert plain_pickle.read(tmp_path / "two.pkl")["x"].tolist() == [1.5, -2.0]


class Program:
    """What pickle.load would call: os.mkdir."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickled_program_is_refused_and_not_run(tmp_path, protocol):
    path, made = tmp_path / "program.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps({"IMU": Program(str(made))}, protocol))
    with pytest.raises(ValueError, match=r"program\.pkl.*mkdir' is refused"):
        plain_pickle.read(path)
    assert not made.exists()
    pickle.loads(path.read_bytes())  # the file is what it seems
    assert made.exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [({1, 2}, "refused"), (np.array([{}]), "an array of objects is refused"), (Path, "is no data")],
)
def test_other_objects_are_refused_by_name(tmp_path, value, words):
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(ValueError, match=words):
        plain_pickle.read(path)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_a_value_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    path.write_bytes(data)
    try:
        plain_pickle.read(path)
    except ValueError as error:
        assert "any.pkl" in str(error)  # noqa: PT017


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_pickle_is_data_or_a_value_error(tmp_path_factory, at, byte):
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    data = bytearray(pickle.dumps({"IMU": RANDOM.normal(size=(3, 9)), "l": [1, "a", (2.5, None)]}, 2))
    data[at % len(data)] = byte
    path.write_bytes(data)
    try:
        plain_pickle.read(path)
    except ValueError as error:
        assert "damaged.pkl" in str(error)  # noqa: PT017


def test_shared_lists_do_not_unfold(tmp_path):
    bomb: list = []
    for _ in range(100):
        bomb = [bomb, bomb]
    path = tmp_path / "bomb.pkl"
    path.write_bytes(pickle.dumps(bomb))
    held = plain_pickle.read(path)
    assert held[0] is held[1]
