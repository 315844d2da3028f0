"""What is wrong with a value of a config or manifest, in our own words instead of pydantic's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from saco_data.model.suggest import suggest

_WANTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "list": "a list: [a, b]",
    "tuple": "a list: [a, b]",
    "dict": "a map: lines of `name: value` below the key",
    "model": "a map: lines of `name: value` below the key",
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
# What pydantic adds to a location when a key takes several types.
_TYPES = {"int", "str", "float", "bool", "constrained-str"}


def explain(error: ValidationError, model: type[BaseModel]) -> tuple[str, str, str]:
    """The dotted key of the first mistake, what is wrong, and what to do.

    `model`: the schema, whose keys are used for "Did you mean".
    """
    first = error.errors(include_url=False)[0]
    path = [part for part in first["loc"] if isinstance(part, str) and _is_key(part)]
    key = ".".join(path) or "the whole file"
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        listed = f"Write one of {', '.join(known)}" if known else "Remove it"
        return key, "unknown key", suggest(path[-1], known) or listed
    if first["type"] == "missing":
        return key, "is missing", "Add it"
    shown = "its value" if _is_secret(model, path) else _shorten(repr(first["input"]))
    if first["type"] == "value_error":
        return key, f"{shown} does not fit", str(first["ctx"]["error"]).capitalize()
    if first["type"] == "string_too_short":
        return key, "is empty", "Write a value, or remove the key"
    return key, f"{shown} does not fit", f"Write {_wanted(first)}"


def _wanted(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"{words} {context[name]}"
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern']}"
    return _WANTED.get(kind.split("_")[0], "another value")


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_secret(model: type[BaseModel], path: Sequence[str]) -> bool:
    field = model.model_fields.get(path[0]) if path else None
    return field is not None and SecretStr in (field.annotation, *get_args(field.annotation))


def _is_key(part: str) -> bool:
    return part not in _TYPES and not any(each in part for each in "([<")


def _keys_at(model: type[BaseModel], path: Sequence[str]) -> tuple[str, ...]:
    """The keys that the schema knows below a key; none where it has no schema."""
    rest = list(path)
    while rest:
        field = model.model_fields.get(rest.pop(0))
        inner = _model_in(field.annotation) if field else None
        if field is None or inner is None:
            return ()
        if rest and _is_map(field.annotation):
            rest.pop(0)  # the name of an entry
        model = inner
    return tuple(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(each) for each in get_args(annotation))
    return next((each for each in found if each is not None), None)


def _is_map(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(map(_is_map, get_args(annotation)))
