"""A second reading of Sparkplug B payloads: protobuf's wire format by hand, without the library.

Field numbers and data types as Sparkplug 3.0.0 publishes them (6.4); wire format: protobuf.dev/encoding.
"""

from __future__ import annotations

import struct
from typing import Any

INT64, DOUBLE, BOOLEAN, STRING, DATA_SET = 4, 10, 11, 12, 16
PLAIN = ("int", "long", "float", "double", "boolean", "string")
PLAIN_OF = {
    **dict.fromkeys((1, 2, 3, 5, 6, 7), "int"), **dict.fromkeys((4, 8, 13), "long"),
    9: "float", 10: "double", 11: "boolean", **dict.fromkeys((12, 14, 15), "string"),
    16: "dataset", **dict.fromkeys((17, 18, *range(22, 35)), "bytes"), 19: "template",
}  # fmt: skip
"""Data type -> the field that its value stands in."""
_CELL = dict(enumerate(PLAIN, 1))
_PROPERTY = {1: "type", 2: "is_null", **dict(enumerate(PLAIN, 3))}
_PROPERTIES = {1: "*keys", 2: ("*values", _PROPERTY)}
_DATA_SET = {1: "columns_count", 2: "*columns", 3: "*types", 4: ("*rows", {1: ("*elements", _CELL)})}
_METRIC: dict[int, Any] = {
    1: "name", 2: "alias", 3: "timestamp", 4: "datatype", 5: "is_historical", 6: "is_transient", 7: "is_null",
    9: ("properties", _PROPERTIES), **dict(enumerate(PLAIN, 10)), 16: "bytes", 17: ("dataset", _DATA_SET),
}  # fmt: skip
_METRIC[18] = ("template", {
    1: "version", 2: ("*metrics", _METRIC),
    3: ("*parameters", {1: "name", 2: "type", **dict(enumerate(PLAIN, 3))}),
    4: "template_ref", 5: "is_definition",
})  # fmt: skip
_PAYLOAD = {1: "timestamp", 2: ("*metrics", _METRIC), 3: "seq", 4: "uuid", 5: "body"}
_TEXTS = {"name", "string", "*keys", "*columns", "uuid", "version", "template_ref"}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _fields(data: bytes) -> list[tuple[int, Any]]:
    found, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        value: Any
        match key & 7:
            case 0:
                value, at = _varint(data, at)
            case 1:
                value, at = struct.unpack_from("<d", data, at)[0], at + 8
            case 5:
                value, at = struct.unpack_from("<f", data, at)[0], at + 4
            case 2:
                size, at = _varint(data, at)
                value, at = data[at : at + size], at + size
                assert len(value) == size
            case other:
                raise AssertionError(f"wire type {other}")
        found.append((key >> 3, value))
    return found


def decode(data: bytes, fields: dict[int, Any] | None = None) -> dict[str, Any]:
    """A payload as nested dictionaries; a field that the specification does not name fails."""
    known = _PAYLOAD if fields is None else fields
    message: dict[str, Any] = {}
    for number, found in _fields(data):
        name, inner = known[number] if isinstance(known[number], tuple) else (known[number], None)
        value = found
        if inner is not None:
            value = decode(found, inner)
        elif name in _TEXTS:
            value = found.decode()
        if name.startswith("*"):
            message.setdefault(name[1:], []).append(value)
        else:
            assert name not in message, f"{name} stands there twice"
            message[name] = value
    return message


def _key(number: int, wire: int) -> bytes:
    return _number(number << 3 | wire)


def _number(value: int) -> bytes:
    data = b""
    while value > 127:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])


def _block(number: int, data: bytes) -> bytes:
    return _key(number, 2) + _number(len(data)) + data


def command(*metrics: bytes) -> bytes:
    """A NCMD or DCMD of these metrics."""
    return _key(1, 0) + _number(1_700_000_000_000) + b"".join(_block(2, metric) for metric in metrics)


def metric(name: str | None, value: object, alias: int | None = None) -> bytes:
    """A metric to write, with a Boolean, an Int64, a String or an empty Template."""
    data = b"" if name is None else _block(1, name.encode())
    if alias is not None:
        data += _key(2, 0) + _number(alias)
    if isinstance(value, bool):
        return data + _key(4, 0) + _number(BOOLEAN) + _key(14, 0) + _number(value)
    if isinstance(value, int):
        return data + _key(4, 0) + _number(INT64) + _key(11, 0) + _number(value)
    if isinstance(value, str):
        return data + _key(4, 0) + _number(STRING) + _block(15, value.encode())
    return data + _key(4, 0) + _number(19) + _block(18, _block(4, b"a type") + _key(5, 0) + _number(0))
