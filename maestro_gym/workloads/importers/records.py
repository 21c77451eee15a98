"""Records of JSON exports: values at dotted places, and counts of tokens under one of several names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from maestro_gym.config.bounds import MOST_TOKENS
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_number import whole_number
from maestro_gym.workloads.traces.checks import place, shown


def records(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Go through rows as mappings, without the cells that hold nothing; JSON in a cell of CSV is read.

    Args:
        frame: The table.

    Yields:
        Cells by column.
    """
    for record in frame.to_dict("records"):
        yield {str(name): _read(value) for name, value in record.items() if not _is_nothing(value)}


def _is_nothing(value: object) -> bool:
    if isinstance(value, str):
        return not value
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)


def _read(value: object) -> object:
    if isinstance(value, str) and value[:1] == "{":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def at(record: Mapping[str, Any], dotted: str) -> Any:  # noqa: ANN401 - any JSON
    """Find a value.

    Args:
        record: Mappings in mappings.
        dotted: Keys, joined by points.

    Returns:
        The value; None where it is not there.
    """
    value: Any = record
    for key in dotted.split("."):
        value = _read(value.get(key)) if isinstance(value, Mapping) else None
    return value


def count(record: Mapping[str, Any], places: tuple[str, ...], row: int, source: str) -> int | None:
    """Find a whole number of tokens.

    Args:
        record: Mappings in mappings.
        places: Dotted places, the first that holds something counts.
        row: Of the file.
        source: The file.

    Returns:
        Tokens; None where no place holds any.

    Raises:
        MaestroError: The value is no such number.
    """
    for dotted in places:
        value = at(record, dotted)
        if _is_nothing(value):
            continue
        return whole(value, place(source, row, dotted))
    return None


def whole(value: object, where: str) -> int:
    """Read a whole number of tokens.

    Args:
        value: A number, or its text.
        where: The beginning of an error message.

    Returns:
        Tokens.

    Raises:
        MaestroError: It is no such number.
    """
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    if isinstance(value, bool) or not counts_tokens(text):
        raise MaestroError(f"{where}: the value {shown(value)} is no whole number of tokens; mend it.")
    return int(text)


def counts_tokens(text: str) -> bool:
    """Whether a text is a whole number of tokens that can be meant, however long the text is."""
    number = whole_number(text)
    return number is not None and number <= MOST_TOKENS


def words(value: object) -> str:
    """Write an id or a name as text; nothing is blank, and what is no name is blank too."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
