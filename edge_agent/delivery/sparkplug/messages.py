"""Sparkplug B payloads as bytes, and the other way round. The only module that knows protobuf.

The messages are described to protobuf at run time by the table below: our own statement of the field numbers
and types that the specification publishes (6.4, its protocol buffer schema). Nothing is generated or copied.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from edge_agent.delivery.sparkplug.values import (
    DataSet,
    DataType,
    Quality,
    Reading,
    Scalar,
    Template,
    Value,
)
from edge_agent.errors import ConfigurationError

MAX_COMMAND_BYTES = 65_536
"""A longer command is not parsed."""
_VALUES = "int:{} uint32, long:{} uint64, float:{} float, double:{} double, boolean:{} bool, string:{} string"


def _values(first: int) -> str:
    """The six plain values, which are numbered in this order wherever they occur."""
    return _VALUES.format(*range(first, first + 6)).replace(":", "_value:")


_SCHEMA = {
    "Payload": "timestamp:1 uint64, metrics:2 *Metric, seq:3 uint64, uuid:4 string, body:5 bytes",
    "Metric": "name:1 string, alias:2 uint64, timestamp:3 uint64, datatype:4 uint32, is_historical:5 bool, "
    "is_transient:6 bool, is_null:7 bool, metadata:8 MetaData, properties:9 PropertySet"
    f"; {_values(10)}, bytes_value:16 bytes, dataset_value:17 DataSet, template_value:18 Template, "
    "extension_value:19 Extension",
    "MetaData": "is_multi_part:1 bool, content_type:2 string, size:3 uint64, seq:4 uint64, "
    "file_name:5 string, file_type:6 string, md5:7 string, description:8 string",
    "PropertySet": "keys:1 *string, values:2 *PropertyValue",
    "PropertySetList": "propertyset:1 *PropertySet",
    "PropertyValue": f"type:1 uint32, is_null:2 bool; {_values(3)}, propertyset_value:9 PropertySet, "
    "propertysets_value:10 PropertySetList, extension_value:11 Extension",
    "DataSet": "num_of_columns:1 uint64, columns:2 *string, types:3 *uint32, rows:4 *Row",
    "Row": "elements:1 *DataSetValue",
    "DataSetValue": f" ; {_values(1)}, extension_value:7 Extension",
    "Template": "version:1 string, metrics:2 *Metric, parameters:3 *Parameter, template_ref:4 string, "
    "is_definition:5 bool",
    "Parameter": f"name:1 string, type:2 uint32; {_values(3)}, extension_value:9 Extension",
    "Extension": "",
}
"""Message -> fields; after a semicolon those of which one has a value. `*`: repeated; else a message."""
_NARROW = {t: 8 << (t - 1) % 4 for t in map(DataType, range(1, 9))}
"""Data type -> bits of the integer."""
_FIELD = {
    **dict.fromkeys(
        (DataType.INT8, DataType.INT16, DataType.INT32, DataType.UINT8, DataType.UINT16, DataType.UINT32),
        "int_value",
    ),
    **dict.fromkeys((DataType.INT64, DataType.UINT64, DataType.DATE_TIME), "long_value"),
    DataType.FLOAT: "float_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
    **dict.fromkeys((DataType.STRING, DataType.TEXT, DataType.UUID), "string_value"),
}
"""Where a value of a data type stands (6.4.17)."""


class MalformedError(ValueError):
    """Bytes that are no Sparkplug B payload."""


@dataclass(frozen=True, slots=True)
class Named:
    """How a reading is written: with its name and type in a birth, by its alias alone in data.

    A quality is written where it is not good, and where it has been something else (6.4.9.1).
    """

    reading: Reading
    alias: int | None
    birth: bool = False
    historical: bool = False
    with_quality: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One metric of a command. `kind` is the field that its value stands in, "" for none.

    `value` is None for what is no plain value: bytes, tables, templates.
    """

    name: str
    alias: int | None
    kind: str
    value: Scalar | None


def require() -> None:
    """Raise ConfigurationError where protobuf is not installed."""
    try:
        found = importlib.util.find_spec("google.protobuf") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ConfigurationError(
            "sparkplug.enabled: the package protobuf is not installed",
            key="sparkplug.enabled",
            hint="pip install 'iotlm-edge[sparkplug]'",
        )


@lru_cache(maxsize=1)
def _payload_class() -> Any:
    """The class of the message Payload, in a pool of its own: another program part may know the real one."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415  # optional

    file = descriptor_pb2.FileDescriptorProto(name="sparkplug.proto", package="edge_agent", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, text in _SCHEMA.items():
        message = file.message_type.add(name=name)
        plain, _, one_of = text.partition(";")
        for field in re.findall(r"(\w+):(\d+) (\*?)(\w+)", plain):
            _add_field(message, kinds, *field)
        for field in re.findall(r"(\w+):(\d+) (\*?)(\w+)", one_of):
            _add_field(message, kinds, *field).oneof_index = 0
        if one_of:
            message.oneof_decl.add(name="value")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("edge_agent.Payload"))


def _add_field(message: Any, kinds: Any, name: str, number: str, repeated: str, kind: str) -> Any:
    added = message.field.add(name=name, number=int(number))
    added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
    if kind in _SCHEMA:
        added.type, added.type_name = kinds.TYPE_MESSAGE, f".edge_agent.{kind}"
    else:
        added.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    return added


def encode(metrics: Iterable[Named], *, timestamp_ms: int, seq: int | None) -> bytes:
    """A payload; `seq` is None in a NDEATH (tck-id-payloads-ndeath-seq)."""
    payload = _payload_class()(timestamp=timestamp_ms)
    if seq is not None:
        payload.seq = seq
    for named in metrics:
        _write(payload.metrics.add(), named)
    data: bytes = payload.SerializeToString()
    return data


def _write(metric: Any, named: Named) -> None:
    reading = named.reading
    metric.timestamp = reading.timestamp_ms
    if named.birth:
        metric.name, metric.datatype = reading.name, int(reading.datatype)
    if named.alias is not None:
        metric.alias = named.alias
    if named.historical:
        metric.is_historical = True
    if named.with_quality or reading.quality is not Quality.GOOD:
        metric.properties.keys.append("Quality")
        metric.properties.values.add(type=int(DataType.INT32), int_value=int(reading.quality))
    _write_value(metric, reading.datatype, reading.value, reading.timestamp_ms)


def _write_value(metric: Any, datatype: DataType, value: Value, timestamp_ms: int) -> None:
    if value is None:
        metric.is_null = True
    elif isinstance(value, DataSet):
        _write_table(metric.dataset_value, value)
    elif isinstance(value, Template):
        _write_template(metric.template_value, value, timestamp_ms)
    else:
        setattr(metric, _FIELD[datatype], plain(datatype, value))


def _write_table(target: Any, table: DataSet) -> None:
    target.num_of_columns = len(table.columns)
    target.columns.extend(table.columns)
    target.types.extend(map(int, table.types))
    for row in table.rows:
        written = target.rows.add()
        for datatype, value in zip(table.types, row, strict=True):
            written.elements.add(**{_FIELD[datatype]: plain(datatype, value)})


def _write_template(target: Any, template: Template, timestamp_ms: int) -> None:
    target.is_definition = template.reference is None
    if template.reference is not None:
        target.template_ref = template.reference
    for name, datatype, value in template.members:
        member = target.metrics.add(name=name, datatype=int(datatype), timestamp=timestamp_ms)
        _write_value(member, datatype, value, timestamp_ms)
    for name, datatype, value in template.parameters:
        parameter = target.parameters.add(name=name, type=int(datatype))
        setattr(parameter, _FIELD[datatype], plain(datatype, value))


def plain(datatype: DataType, value: Value) -> Scalar:
    """A value as its field holds it: a negative integer as its two's complement (6.4.17)."""
    if datatype in _NARROW and isinstance(value, int):
        return value & ((1 << _NARROW[datatype]) - 1)
    if _FIELD[datatype] in ("float_value", "double_value") and isinstance(value, int | float):
        return float(value)
    if isinstance(value, bool | str):
        return value
    raise TypeError(f"{value!r} is no {datatype.name}")


def orders(data: bytes) -> Sequence[Order]:
    """The metrics of a NCMD or DCMD. Raises MalformedError for what is no payload, or too long."""
    if len(data) > MAX_COMMAND_BYTES:
        raise MalformedError(f"the command has {len(data)} bytes, at most {MAX_COMMAND_BYTES} are read")
    from google.protobuf.message import DecodeError  # noqa: PLC0415  # optional

    payload = _payload_class()()
    try:
        payload.ParseFromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise MalformedError(f"the command is no Sparkplug B payload: {error}") from error
    return [_order(metric) for metric in payload.metrics]


def _order(metric: Any) -> Order:
    kind = metric.WhichOneof("value") or ""
    value = getattr(metric, kind) if kind in _FIELD.values() else None
    return Order(metric.name, metric.alias if metric.HasField("alias") else None, kind, value)
