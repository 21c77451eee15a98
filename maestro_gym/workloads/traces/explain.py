"""Shows how a file was read: a few of its calls beside the cells that they came from, and what was assumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from maestro_gym.workloads.traces.checks import shown
from maestro_gym.workloads.traces.files import Imported
from maestro_gym.workloads.traces.format import COLUMNS, ROW

_UNITS = {"tokens": "tokens", "seconds": "s", "positive": "s", "flag": "0 or 1", "text": ""}


class Explained(NamedTuple):
    """How a file was read.

    Attributes:
        rows: By field: its unit, and for every call its value beside the user's cells.
        assumed: Sentences without a full stop.
    """

    rows: list[dict[str, str]]
    assumed: list[str]


def explain(read: Imported, count: int = 3) -> Explained:
    """Lay a few calls beside what the file says of them.

    Args:
        read: The file.
        count: Calls: the first, the last and those evenly between.

    Returns:
        Fields of the workflow-trace format with units, and what was assumed.
    """
    table, origin = read.converted.table, read.origin
    places = sorted({round(float(place)) for place in np.linspace(0, len(table) - 1, min(count, len(table)))})
    present = [name for name in COLUMNS if name in table.columns]
    named = [name for name in present if any(origin.cells(table, at, name) for at in places)]
    # Several calls may stand in one row: a line of the collector, a document.
    heads = {at: f"call {at + 1}, row {int(table[ROW].iloc[at])}" for at in places}
    rows = []
    for name in named:
        unit = "" if name == "weight" else _UNITS[COLUMNS[name].kind]
        row = {"field": name, "unit": unit}
        for at in places:
            cells = ", ".join(f"{key} = {shown(value)}" for key, value in origin.cells(table, at, name).items())
            row[heads[at]] = f"{_plain(table[name].iloc[at])}  <-  {cells or 'nothing in the file'}"
        rows.append(row)
    chosen = [name for name in present if COLUMNS[name].required and name not in named]
    words = [f"{name} {_range(table[name].tolist())}" for name in chosen]
    assumed = list(read.converted.notes)
    if words:
        assumed.append("chosen or derived, no cell of a call says them: " + ", ".join(words))
    return Explained(rows, assumed)


def _plain(value: object) -> str:
    return shown(value).strip("'") or "(blank)"


def _range(values: Sequence[object]) -> str:
    """One value that all calls have, or the first of several."""
    known = list(dict.fromkeys(values))
    return _plain(known[0]) + (f" and {len(known) - 1} others" if len(known) > 1 else "")
