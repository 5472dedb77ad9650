"""Reads numbers, strings, lists, dicts and numpy arrays out of a pickle, without unpickling it.

`pickle.load` does what the file says: a downloaded pickle is a program. Two sources of the paper are
published as pickles, so they are read here as data: the opcodes are walked, and where one names a function
the name is only compared with the few by which numpy writes an array. Nothing is imported or called;
whatever else a file holds is refused by name. The file is mapped and arrays are views of it: what nobody
looks at is not read.

Opcodes: CPython, Lib/pickletools.py, protocols 0 to 5. How arrays are written: numpy,
numpy/_core/src/multiarray/methods.c (`array_reduce`). Strings of Python 2 are taken as latin-1.
"""

from __future__ import annotations

import codecs
import mmap
import pickletools
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from export.datasets.paper.pickle_arrays import (
    BUILDERS,
    Array,
    Dtype,
    Name,
    RefusedError,
    Unfilled,
    set_state,
)

MAX_ITEMS = 10_000_000
"""Of the stack and of the memo: a file that needs more is not one of ours."""

_NUMBERS = "iuf"
_BROKEN = (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError, struct.error)
"""What a broken file raises below: a key that is not in the memo, a stack that is empty."""


def read(path: Path) -> Any:
    """The object in a file. ValueError, which names the file, for anything but plain data."""
    name = f"{path.parent.name}/{path.name}"
    if path.stat().st_size == 0:
        raise ValueError(f"{name} is empty; a pickle was expected")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _plain(_Machine(data).run(), {})
    except _BROKEN as error:
        raise ValueError(f"{name} is not a pickle of plain numbers and arrays: {error}") from error


def arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The arrays of a dict in a file: numbers, (n, *shape) each. ValueError, which names the file."""
    held = read(path)
    found = {}
    for key, shape in shapes.items():
        value = held.get(key) if isinstance(held, dict) else None
        if not _is_numbers(value, shape):
            wanted = f"a dict with numbers {key!r} of the shape ({', '.join(map(str, ('n', *shape)))})"
            raise ValueError(f"{path.parent.name}/{path.name}: {wanted} was expected")
        found[key] = value
    return found


def _is_numbers(value: Any, shape: tuple[int, ...]) -> TypeGuard[Array]:
    if not isinstance(value, np.ndarray) or value.ndim != 1 + len(shape):
        return False
    return value.shape[1:] == shape and value.dtype.kind in _NUMBERS


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """What was built, with arrays for Unfilled. Shared parts stay shared: no file can unfold here."""
    if id(value) in done:
        return done[id(value)]
    result: Any
    if isinstance(value, Unfilled):
        result = value.value
    elif isinstance(value, memoryview):
        result = bytes(value)
    elif isinstance(value, dict):
        result = {_plain(k, done): _plain(v, done) for k, v in value.items()}
    elif isinstance(value, (list, tuple)):
        result = type(value)(_plain(v, done) for v in value)
    elif isinstance(value, (Name, Dtype)):
        raise RefusedError(f"{value} is no data")
    else:
        result = value
    done[id(value)] = result
    return result


_OPCODES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}


class _Machine:
    """The stack machine of pickle, less everything that reaches outside the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._map = data
        self._view = memoryview(data)
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            opcode = _OPCODES.get(self.take(1)[0])
            name = opcode or "a byte that is no opcode"
            if name == "STOP":
                return self.pop()
            if name not in _STEPS:
                raise RefusedError(f"{name} is refused")
            _STEPS[name](self)
            if len(self._stack) > MAX_ITEMS or len(self._memo) > MAX_ITEMS:
                raise ValueError(f"it has more than {MAX_ITEMS} items")

    def take(self, n: int) -> memoryview:
        piece = self._view[self._at : self._at + n]
        if n < 0 or len(piece) < n:
            raise ValueError("it ends too early; is the download complete?")
        self._at += n
        return piece

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self._map.find(b"\n", self._at)
        text = str(self.take(end - self._at), "latin-1")
        self._at += 1
        return text

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise ValueError("an opcode reaches below its mark")
        return self._stack.pop()

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def pop_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise RefusedError(f"a {type(self._stack[-1]).__name__} where a {kind.__name__} is needed")
        return self._stack[-1]

    def put(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, key: int) -> None:
        self.push(self._memo[key])

    def tuple_of(self, n: int) -> None:
        self.push(tuple([self.pop() for _ in range(n)][::-1]))

    def set_items(self, items: list[Any]) -> None:
        self.top(dict).update(zip(items[::2], items[1::2], strict=True))

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def append(self) -> None:
        value = self.pop()
        self.top(list).append(value)

    def extend(self) -> None:
        items = self.pop_mark()
        self.top(list).extend(items)

    def named(self) -> None:
        function, module = self.pop(), self.pop()
        self.push(Name(f"{module}.{function}"))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        build = BUILDERS.get(function.path) if isinstance(function, Name) else None
        if build is None:
            raise RefusedError(f"{getattr(function, 'path', function)!r} is refused")
        self.push(build(*arguments))

    def build(self) -> None:
        state = self.pop()
        set_state(self._stack[-1], state)


def _integer(machine: _Machine, text: str) -> None:
    truth = {"00": False, "01": True}  # how protocol 0 writes a bool
    machine.push(truth[text] if text in truth else int(text.removesuffix("L")))


def _unescaped(text: str) -> str:
    """A string of protocol 0, as Python 2 writes it between quotes."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        raise ValueError("a string without quotes")
    return codecs.escape_decode(text[1:-1].encode("latin-1"))[0].decode("latin-1")


def _long(machine: _Machine, layout: str) -> None:
    machine.push(int.from_bytes(machine.take(machine.number(layout)), "little", signed=True))


def _counted(layout: str, encoding: str = "") -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        piece = machine.take(machine.number(layout))
        machine.push(str(piece, encoding) if encoding else piece)

    return step


def _number(layout: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(layout))


def _value(make: Callable[[], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(make())


def _dict_of(machine: _Machine) -> None:
    items = machine.pop_mark()
    machine.push({})
    machine.set_items(items)


def _skip(n: int) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.take(n)

    return step


_STEPS: dict[str, Callable[[_Machine], None]] = {
    "PROTO": _skip(1),
    "FRAME": _skip(8),
    "MARK": _Machine.mark,
    "NONE": _value(lambda: None),
    "NEWTRUE": _value(lambda: True),
    "NEWFALSE": _value(lambda: False),
    "INT": lambda m: _integer(m, m.line()),
    "LONG": lambda m: _integer(m, m.line()),
    "FLOAT": lambda m: m.push(float(m.line())),
    "STRING": lambda m: m.push(_unescaped(m.line())),
    "UNICODE": lambda m: m.push(m.line().encode("latin-1").decode("raw-unicode-escape")),
    "BININT": _number("<i"),
    "BININT1": _number("<B"),
    "BININT2": _number("<H"),
    "LONG1": lambda m: _long(m, "<B"),
    "LONG4": lambda m: _long(m, "<i"),
    "BINFLOAT": _number(">d"),
    "SHORT_BINSTRING": _counted("<B", "latin-1"),
    "BINSTRING": _counted("<i"),
    "SHORT_BINUNICODE": _counted("<B", "utf-8"),
    "BINUNICODE": _counted("<I", "utf-8"),
    "BINUNICODE8": _counted("<Q", "utf-8"),
    "SHORT_BINBYTES": _counted("<B"),
    "BINBYTES": _counted("<I"),
    "BINBYTES8": _counted("<Q"),
    "BYTEARRAY8": _counted("<Q"),
    "EMPTY_LIST": _value(list),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "LIST": lambda m: m.push(m.pop_mark()),
    "EMPTY_DICT": _value(dict),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda m: m.set_items(m.pop_mark()),
    "DICT": _dict_of,
    "EMPTY_TUPLE": _value(tuple),
    "TUPLE1": lambda m: m.tuple_of(1),
    "TUPLE2": lambda m: m.tuple_of(2),
    "TUPLE3": lambda m: m.tuple_of(3),
    "TUPLE": lambda m: m.push(tuple(m.pop_mark())),
    "PUT": lambda m: m.put(int(m.line())),
    "BINPUT": lambda m: m.put(m.number("<B")),
    "LONG_BINPUT": lambda m: m.put(m.number("<I")),
    "MEMOIZE": _Machine.memoize,
    "GET": lambda m: m.get(int(m.line())),
    "BINGET": lambda m: m.get(m.number("<B")),
    "LONG_BINGET": lambda m: m.get(m.number("<I")),
    "GLOBAL": lambda m: m.push(Name(f"{m.line()}.{m.line()}")),
    "STACK_GLOBAL": _Machine.named,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
