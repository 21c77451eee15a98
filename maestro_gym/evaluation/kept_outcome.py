"""A finished episode as bytes that are data and nothing else: arrays and JSON, read with pickles forbidden."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from maestro_gym.core.bounded_text import parse_json
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.worker import JobOutcome

_ROW, _WORKFLOWS, _TRACE = "row", "workflows.", "trace."
_WORDS = "words"
"""What of a trace is no array, as JSON."""


def as_bytes(outcome: JobOutcome) -> bytes:
    """Write an outcome; `from_bytes` gives an equal one.

    Args:
        outcome: Of an episode.
    """
    arrays = {_ROW: _json(outcome.row)}
    arrays |= {f"{_WORKFLOWS}{name}": _column(column) for name, column in outcome.workflows.items()}
    if outcome.trace is not None:
        held = {field.name: getattr(outcome.trace, field.name) for field in fields(Trace)}
        arrays |= {f"{_TRACE}{name}": value for name, value in held.items() if isinstance(value, np.ndarray)}
        words = {name: value for name, value in held.items() if not isinstance(value, np.ndarray)}
        arrays[f"{_TRACE}{_WORDS}"] = _json(words)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type] - arrays by name
    return buffer.getvalue()


def from_bytes(content: bytes) -> JobOutcome:
    """Read an outcome.

    Args:
        content: As of `as_bytes`.

    Raises:
        ValueError: It is something else, or damaged.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        workflows = {
            name.removeprefix(_WORKFLOWS): values for name, values in arrays.items() if name.startswith(_WORKFLOWS)
        }
        return JobOutcome(parse_json(str(arrays[_ROW])), pd.DataFrame(workflows), _trace(arrays))
    except (OSError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _trace(arrays: dict[str, np.ndarray]) -> Trace | None:
    held: dict[str, Any] = {
        name.removeprefix(_TRACE): values for name, values in arrays.items() if name.startswith(_TRACE)
    }
    if not held:
        return None
    for name, value in parse_json(str(held.pop(_WORDS))).items():
        held[name] = tuple(value) if isinstance(value, list) else value
    return Trace(**held)


def _json(content: dict[str, Any]) -> np.ndarray:
    return np.array(json.dumps(content, default=lambda value: value.item()))


def _column(column: pd.Series) -> np.ndarray:
    values = column.to_numpy()
    return values if values.dtype.kind in "biuf" else values.astype(str)
