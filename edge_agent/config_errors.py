"""Turns pydantic's account of a wrong configuration into one sentence a person can act on."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.errors import ConfigurationError

Location = tuple[str | int, ...]
_Sentence = tuple[str, str, str]

_TOML_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "a table",
}
_SHOWN_CHARACTERS = 80


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, or "" when none is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)), "")


def explain(error: ValidationError, data: Mapping[str, object], root: type[BaseModel]) -> ConfigurationError:
    """The error for the first fault; an unknown key goes first, since it is often the cause of the rest."""
    faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    first = faults[0]
    message, key, hint = _sentence(first, data, root)
    if len(faults) > 1:
        message += f" (and {len(faults) - 1} more)"
    return ConfigurationError(message, key=key, hint=hint)


def _sentence(fault: ErrorDetails, data: Mapping[str, object], root: type[BaseModel]) -> _Sentence:
    """(message, dotted key, hint) of one fault."""
    model, description, path = _walk(fault["loc"], root)
    key = ".".join(map(str, path))
    where = key + _sensor_name(path, data)
    context = fault.get("ctx", {})
    match fault["type"]:
        case "repeated":
            sentence = f"{context['key']}: {context['message']}", str(context["key"]), str(context["hint"])
        case "extra_forbidden":
            sentence = _unknown(where, key, str(path[-1]), model)
        case "missing":
            sentence = f"{where} is missing", key, description
        case "union_tag_not_found":
            sentence = f"{where}: kind is missing", f"{key}.kind", f"kind is one of {', '.join(_kinds(root))}"
        case "union_tag_invalid":
            sentence = _wrong_kind(where, key, str(context["tag"]), list(_kinds(root)))
        case "value_error":
            sentence = f"{where or 'the configuration'}: {context['error']}", key, description
        case _:
            sentence = f"{where} {_is_but_should(fault)}", key, description
    return sentence


def _unknown(where: str, key: str, name: str, model: type[BaseModel] | None) -> _Sentence:
    known = list(_fields(model)) if model is not None else []
    guess = nearest(name, known)
    message = f"{where}: unknown key" + (f'; did you mean "{guess}"?' if guess else "")
    return message, key, f"known here: {', '.join(known)}"


def _wrong_kind(where: str, key: str, tag: str, known: list[str]) -> _Sentence:
    guess = nearest(tag, known)
    message = f'{where}: kind is "{tag}"' + (
        f'; did you mean "{guess}"?' if guess else ", which is not known"
    )
    return message, f"{key}.kind", f"kind is one of {', '.join(known)}"


def _is_but_should(fault: ErrorDetails) -> str:
    shown = repr(fault["input"])
    if len(shown) > _SHOWN_CHARACTERS:
        shown = shown[:_SHOWN_CHARACTERS] + "..."
    kind = _TOML_NAMES.get(type(fault["input"]), type(fault["input"]).__name__)
    match fault["type"]:
        case "string_pattern_mismatch":
            should = "it should begin with a letter or digit and hold only letters, digits, _ and -"
        case "too_short":
            should = "it should not be empty"
        case _:
            should = fault["msg"].replace("Input should be", "it should be", 1)
    return f"is {shown} ({kind}); {should[0].lower()}{should[1:]}"


def _sensor_name(path: Sequence[str | int], data: Mapping[str, object]) -> str:
    """' (sensor "kitchen")', so that nobody has to count tables."""
    sensors = data.get("sensor")
    if len(path) < 2 or path[0] != "sensor" or not isinstance(sensors, list) or not isinstance(path[1], int):
        return ""
    table = sensors[path[1]]
    name = table.get("name") if isinstance(table, dict) else None
    return f' (sensor "{name}")' if isinstance(name, str) else ""


def _walk(location: Location, root: type[BaseModel]) -> tuple[type[BaseModel] | None, str, list[str | int]]:
    """Follow pydantic's location: (innermost model, description of the field, path as it stands in the file).

    Pydantic adds the union's tag and "[key]" to its locations, which do not stand in the file.
    """
    model: type[BaseModel] | None = root
    kinds = _kinds(root)
    description = ""
    path: list[str | int] = []
    for part in location:
        if len(path) == 2 and path[0] == "sensor" and part in kinds:
            model = kinds[str(part)]
            continue
        if part == "[key]":
            continue
        path.append(part)
        if model is not None and (entry := _fields(model).get(str(part))) is not None:
            annotation, text = entry
            description = f"{part}: {text}"
            inner = _models_in(annotation)
            model = inner[0] if len(inner) == 1 else model
    return model, description, path


def _fields(model: type[BaseModel]) -> dict[str, tuple[object, str]]:
    return {
        (field.alias or name): (field.annotation, field.description or "")
        for name, field in model.model_fields.items()
    }


def _kinds(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """kind -> model, read from the discriminated union of the sensors."""
    return {
        typing.get_args(model.model_fields["kind"].annotation)[0]: model
        for _, (annotation, _) in _fields(root).items()
        for model in _models_in(annotation)
        if "kind" in model.model_fields
    }


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
