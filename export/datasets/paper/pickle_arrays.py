"""How numpy writes an array into a pickle, told from the names and values alone; see plain_pickle.

Source: numpy, numpy/_core/src/multiarray/methods.c, `array_reduce` and `array_reduce_ex_picklebuffer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
PLAIN_KINDS = "biufcSU"
"""Kinds of numpy's types that are numbers or strings."""


class RefusedError(ValueError):
    """The file holds something else than plain data."""


@dataclass(frozen=True)
class Name:
    """A function or class that the file names."""

    path: str


@dataclass
class Dtype:
    """A type of numpy by its code, such as f8, and its byte order."""

    code: str
    order: str = "="

    def numpy(self) -> np.dtype[Any]:
        if self.code[:1] not in PLAIN_KINDS or not self.code[1:].isdigit():
            raise RefusedError(f"an array of {self.code!r} is refused")
        return np.dtype(f"{self.order if self.order in '<>' else '='}{self.code}")


@dataclass
class Unfilled:
    """An array before its state is known."""

    value: Array | None = None


def _text(value: Any) -> str:
    return str(value, "latin-1") if isinstance(value, (memoryview, bytes)) else str(value)


def _shaped(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if isinstance(raw, str):  # a string of Python 2
        raw = raw.encode("latin-1")
    if not isinstance(dtype, Dtype) or not isinstance(raw, (memoryview, bytes)):
        raise RefusedError("an array of objects is refused")
    values = np.frombuffer(raw, dtype.numpy())
    return values.reshape(tuple(shape), order="F" if _text(order) == "F" else "C")


def set_state(target: Any, state: Any) -> None:
    """BUILD: the byte order of a type, or shape and bytes of an array. RefusedError for any other."""
    if isinstance(target, Dtype):
        target.order = _text(state[1])
    elif isinstance(target, Unfilled):
        _, shape, dtype, fortran, raw = state
        target.value = _shaped(raw, dtype, shape, "F" if fortran else "C")
    else:
        raise RefusedError(f"a state of {type(target).__name__} is refused")


def _encoded(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise RefusedError(f"bytes written as {encoding!r} are refused")
    return str(text).encode("latin-1")


def _by_numpy(function: str, builder: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """The function under both of its addresses: numpy before and since version 2."""
    return {f"numpy.{core}.{function}": builder for core in ("core", "_core")}


BUILDERS: dict[str, Callable[..., Any]] = {
    "__builtin__.bytes": lambda: b"",  # and the empty ones
    "_codecs.encode": _encoded,  # how Python 3 writes bytes in protocol 2
    "numpy.dtype": lambda code, *_: Dtype(_text(code)),
    **_by_numpy("multiarray._reconstruct", lambda *_: Unfilled()),
    **_by_numpy("multiarray.scalar", lambda dtype, raw: _shaped(raw, dtype, (), "C").item()),
    **_by_numpy("numeric._frombuffer", _shaped),
}
