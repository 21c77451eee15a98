"""A validation error of pydantic, told as one paragraph that a user can act on."""

from __future__ import annotations

import reprlib
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from maestro_gym.config.base import hint
from maestro_gym.core.errors import MaestroError

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120

Location = Sequence[int | str]
M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], raw: Any, origin: Callable[[str], str]) -> M:  # noqa: ANN401 - raw YAML
    """Check a raw configuration against its model.

    Args:
        model: What it must be.
        raw: What was written.
        origin: Maps a dotted place to where it was written: a file or an override.

    Returns:
        The typed configuration.

    Raises:
        MaestroError: A key is unknown or a value bad.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise _config_error(error, model, origin) from None


def _config_error(error: ValidationError, model: type[BaseModel], origin: Callable[[str], str]) -> MaestroError:
    """Tell the first mistakes of a validation."""
    found = error.errors(include_url=False, include_context=True)
    # A union reports each of its branches; the place is the same, so the first tells enough.
    told: dict[str, str] = {}
    for item in found:
        place, parent = _place(model, item["loc"])
        told.setdefault(place, _tell(item, place, parent))
    shown = [f"{origin(place)}: {text}" for place, text in list(told.items())[:3]]
    if len(told) > 3:
        shown.append(f"({len(told) - 3} more mistakes follow.)")
    return MaestroError(" ".join(shown))


def _tell(item: typing.Any, place: str, parent: type[BaseModel] | None) -> str:  # noqa: ANN401 (pydantic's dict)
    name = place.rsplit(".", 1)[-1]
    if item["type"] == "extra_forbidden":
        keys = parent.model_fields if parent is not None else ()
        return f"unknown key `{place}`. {hint(name, keys)}"
    if item["type"] == "missing":
        return f"the key `{place}` is missing; add it{_meaning(parent, name)}."
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:] if item["type"] != "value_error" else message
    if not place:
        return f"{message}."
    if item["type"] == "value_error":
        return f"`{place}`: {message}."
    return f"bad value {_SHORT.repr(item['input'])} for `{place}`: {message}{_meaning(parent, name)}."


def _meaning(parent: type[BaseModel] | None, name: str) -> str:
    field = parent.model_fields.get(name) if parent is not None else None
    return f" ({field.description})" if field is not None and field.description else ""


def _place(model: type[BaseModel], location: Location) -> tuple[str, type[BaseModel] | None]:
    """Return the dotted place of an error, without union tags, and the model that holds its last key."""
    current: object = model
    parent: type[BaseModel] | None = None
    parts: list[str] = []
    for part in location:
        record = _record(current)
        if record is not None:
            parent = record
            parts.append(str(part))
            if part not in record.model_fields:
                break
            current = record.model_fields[str(part)].annotation
            continue
        inner = _inner(current)
        if inner is None:
            break
        parts.append(str(part))
        parent, current = None, inner
    return ".".join(parts), parent


def _branches(annotation: object) -> list[object]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [branch for branch in typing.get_args(annotation) if branch is not type(None)]
    return [annotation]


def _record(annotation: object) -> type[BaseModel] | None:
    for branch in _branches(annotation):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            return branch
    return None


def _inner(annotation: object) -> object | None:
    for branch in _branches(annotation):
        if typing.get_origin(branch) in (list, dict):
            return typing.get_args(branch)[-1]
    return None
