"""What a metric can be: its data types, its value, its quality. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class DataType(IntEnum):
    """The data types of Sparkplug B that are not arrays, by their published numbers (6.4.16)."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13
    TEXT = 14
    UUID = 15
    DATA_SET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19


class Quality(IntEnum):
    """The quality codes (6.4.9.1)."""

    BAD = 0
    GOOD = 192
    STALE = 500


Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table (6.4.11): one type for each column, each row as long as there are columns.

    Raises ValueError where that is not so.
    """

    columns: tuple[str, ...]
    types: tuple[DataType, ...]
    rows: tuple[tuple[Scalar, ...], ...]

    def __post_init__(self) -> None:
        widths = {len(self.columns), len(self.types), *map(len, self.rows)}
        if len(widths) != 1:
            raise ValueError(f"a table of {len(self.columns)} columns with {sorted(widths)} types and values")


Part = tuple[str, DataType, Scalar | None]
"""A member or a parameter of a template: name, data type, value."""


@dataclass(frozen=True, slots=True)
class Template:
    """Values that belong together (6.4.14). `reference` names its definition; None: it is the definition.

    A definition names every member and parameter, and its values are their defaults.
    """

    reference: str | None
    members: tuple[Part, ...]
    parameters: tuple[Part, ...]


Value = Scalar | DataSet | Template | None
"""None is null: there is nothing to say just now."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one metric of the node (`device` is "") or of a device shows from `timestamp_ms` on.

    `timestamp_ms` is milliseconds since 1970, UTC.
    """

    device: str
    name: str
    datatype: DataType
    value: Value
    timestamp_ms: int = 0
    quality: Quality = Quality.GOOD

    @property
    def shown(self) -> tuple[Value, Quality]:
        """What a host would see; the same again is not worth a message (report by exception, 5.18)."""
        return self.value, self.quality
