"""The page of the configuration: every setting of every record, as its field declares it."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from maestro_gym.config.base import StrictModel
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.config.program_search import ProgramTask
from maestro_gym.config.scenario import ScenarioConfig
from maestro_gym.config.search import SearchConfig
from maestro_gym.config.tune import TuneConfig

FILES: dict[str, tuple[str, type[StrictModel]]] = {
    "configs/scenarios": ("A scenario: what `--scenario` names and what dotted words change.", ScenarioConfig),
    "configs/search": ("A search: what `maestro-gym search --config` names.", SearchConfig),
    "configs/tune": ("A study: what `maestro-gym tune --config` names.", TuneConfig),
    "task.yaml": ("A program search: what `maestro-gym evolve export` writes and its words change.", ProgramTask),
    "configs/live": ("A fleet of real servers: what `maestro-gym fleet` and `live` read.", LiveFleetConfig),
}
"""The files that a user writes: their folder, what they are, and the record that checks them."""

_HEAD = """\
Every setting of every file that is read, with its unit in brackets where it has one, and the limits that are checked. A
file holds what differs from the defaults; a dotted word changes one setting, `workload.load=0.95`. An unknown key is an
error that names the nearest valid one. A default of `-` means that the setting must be given.
"""

_SIGNS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}


def configuration_markdown() -> str:
    """Markdown with a table for each record, in the order in which a reader of the files meets them."""
    parts, seen = [_HEAD], set[type[StrictModel]]()
    for folder, (meaning, root) in FILES.items():
        parts.append(f"## {folder}\n\n{meaning}\n")
        for record in _reachable(root, seen):
            title = (record.__doc__ or "").strip().splitlines()[0]
            parts.append(f"### {record.__name__}\n\n{title}\n\n{_table(record)}\n")
    return "\n".join(parts)


def _reachable(record: type[StrictModel], seen: set[type[StrictModel]]) -> Iterator[type[StrictModel]]:
    """The record and those that its fields hold, each once."""
    if record in seen:
        return
    seen.add(record)
    yield record
    for field in record.model_fields.values():
        for inner in _records(field.annotation):
            yield from _reachable(inner, seen)


def _records(annotation: Any) -> Iterator[type[StrictModel]]:  # noqa: ANN401  # any form that a type may take
    if isinstance(annotation, type) and issubclass(annotation, StrictModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _records(argument)


def _table(record: type[StrictModel]) -> str:
    rows = ["| setting | type | default | limits | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, field in record.model_fields.items():
        cells = (f"`{name}`", _type(field.annotation), _default(field), _limits(field), field.description or "")
        rows.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(rows)


def _type(annotation: Any) -> str:  # noqa: ANN401
    """A type in the words of a YAML file, records as links to their tables."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if annotation is Any:
        return "any"
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is dict:
        return f"map of {_type(arguments[0])} to {_type(arguments[1])}"
    if origin in (list, tuple):
        return "list of " + ", ".join(_type(argument) for argument in arguments if argument is not Ellipsis)
    if origin is not None:
        return " or ".join(_type(argument) for argument in arguments)
    if issubclass(annotation, StrictModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return annotation.__name__


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "-"
    value = field.get_default(call_default_factory=True)  # pyright: ignore[reportCallIssue]
    if isinstance(value, StrictModel):
        return "its defaults"
    if value is None:
        return "`null`"
    if value in ("", {}, [], ()):
        return "empty"
    return f"`{_number(value)}`"


def _limits(field: FieldInfo) -> str:
    """The bounds of a number; those of texts and lists are left to the message of their error."""
    found = [
        sign.format(_number(bound))
        for limit in field.metadata
        for name, sign in _SIGNS.items()
        if (bound := getattr(limit, name, None)) is not None
    ]
    return ", ".join(found)


def _number(value: Any) -> str:  # noqa: ANN401
    """A value as a file may hold it; large floats as 1e8."""
    return re.sub(r"e\+0?", "e", f"{value:g}") if isinstance(value, float) else str(value)
