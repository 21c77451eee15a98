"""Opens the tables of traces: CSV, Parquet, JSON lines and JSON documents, plain or gzipped, in any Unicode encoding.

A reader here never guesses: a row that contradicts its header, a key that stands twice and bytes that are no text are
refused, because each would shift or drop numbers in silence.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.format import ROW

SUFFIXES = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")
"""Endings of traces; text may be gzipped (``.csv.gz``). A ``.txt`` that is named is opened as CSV too."""

_GZIP, _MOST_BYTES = b"\x1f\x8b", 4 * 2**30
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_WRAPPERS = ("data", "runs", "spans")
"""Keys under which an API hands out its list of records."""


def suffix_of(path: Path) -> str:
    """The ending that says what a file holds: that before ``.gz``, in small letters."""
    path = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return path.suffix.lower()


def open_table(path: Path) -> pd.DataFrame:
    """Open a table.

    Args:
        path: A CSV (as text), Parquet, JSON-lines or JSON file.

    Returns:
        The table, with ``ROW``.

    Raises:
        MaestroError: The file cannot be read, a row contradicts the header, or a column stands twice.
    """
    if not path.is_file():
        raise MaestroError(f"workload.trace: the file `{path}` does not exist. Check the path.")
    suffix = suffix_of(path)
    if suffix not in (*SUFFIXES, ".txt"):
        raise MaestroError(
            f"{path}: `{path.suffix}` is no trace; give a .csv, .parquet, .jsonl or .json file (text may end in .gz)."
        )
    try:
        if suffix in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        elif suffix in (".csv", ".txt"):
            frame = _read_csv(_text(path), path)
        else:
            records = _read_json(_text(path), suffix, path)
            # As objects: a number that is missing in one row would turn the nanoseconds of all others into floats.
            frame = pd.DataFrame(records, dtype=object)
    except (ValueError, OSError, EOFError, OverflowError, zlib.error, csv.Error) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MaestroError(
            f"{path}: cannot be read as a {suffix} table ({reason}). Mend or export the file again."
        ) from None
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise MaestroError(f"{path}: the column `{twice}` stands twice; take one of the two out.")
    frame.columns = [str(column) for column in frame.columns]
    frame = frame.reset_index(drop=True)
    frame[ROW] = range(1, len(frame) + 1)
    return frame


def _text(path: Path) -> str:
    """Read a text file: gzipped or not, with or without a byte-order mark (UTF-8 without one)."""
    content = path.read_bytes()
    if content.startswith(_GZIP):
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise MaestroError(f"{path}: unpacks to more than {_MOST_BYTES >> 30} GiB; give a part of it.")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise MaestroError(
            f"{path}: cannot be read as text (byte {error.start + 1} is no {encoding.upper()}); save it as UTF-8."
        ) from None


def _read_csv(text: str, path: Path) -> pd.DataFrame:
    """Read cells as text, so that a message can quote them as they stand in the file."""
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True) if row]
    if not rows:
        raise MaestroError(f"{path}: holds no header; the first line names the columns.")
    header = [name.strip() for name in rows[0]]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        mark = next(mark for mark in ";\t" if mark in header[0])
        raise MaestroError(f"{path}: separates its fields by {mark!r}; write commas, and points in numbers.")
    rows = [row[: len(header)] if not any(row[len(header) :]) else row for row in rows[1:]]
    wrong = [number for number, row in enumerate(rows, start=1) if len(row) != len(header)]
    if wrong:
        count = len(rows[wrong[0] - 1])
        more = f" ({len(wrong) - 1} more rows like it)" if len(wrong) > 1 else ""
        raise MaestroError(
            f"{path}: row {wrong[0]} (the header not counted) has {count} field{'s' * (count != 1)}, the header names "
            f"{len(header)} ({', '.join(header[:30])}){more}; which field belongs to which column cannot be known. "
            "Name every column, or mend the rows."
        )
    frame = pd.DataFrame(rows, columns=pd.Index(header, dtype=object), dtype=object)
    # A column without a name is an index that was written along.
    return frame.loc[:, [name != "" for name in header]]


def _read_json(text: str, suffix: str, path: Path) -> list[dict[str, Any]]:
    """Read JSON lines, or one document; whichever ending either of them has."""
    if suffix == ".json" or text.lstrip().startswith("["):
        try:
            document = _load(text)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise MaestroError(f"{path}: line {error.lineno} is no JSON ({error.msg}); mend it.") from None
        except (KeyError, RecursionError) as error:
            raise MaestroError(f"{path}: cannot be used ({_unusable(error)}); mend it.") from None
        else:
            return _records(document, path)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = _load(line)
        except json.JSONDecodeError as error:
            raise MaestroError(f"{path}: line {number} is no JSON ({error.msg}); mend it.") from None
        except (KeyError, RecursionError) as error:
            raise MaestroError(f"{path}: line {number} cannot be used ({_unusable(error)}); mend it.") from None
        if not isinstance(record, dict):
            raise MaestroError(f"{path}: line {number} is no JSON object; write one object a line.")
        records.append(record)
    return records


def _records(document: object, path: Path) -> list[dict[str, Any]]:
    """Take the records out of a document: a list of objects, what an API wraps around one, or one object."""
    if isinstance(document, dict):
        wrapped = next((document[key] for key in _WRAPPERS if isinstance(document.get(key), list)), None)
        document = [document] if wrapped is None else wrapped
    if not isinstance(document, list) or not all(isinstance(record, dict) for record in document):
        raise MaestroError(f"{path}: holds no JSON object, nor a list of objects; export it again.")
    return document


def _load(text: str) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(text, object_pairs_hook=_without_doubles)


def _unusable(error: KeyError | RecursionError) -> str:
    return f"the key {error} stands twice in one object" if isinstance(error, KeyError) else "too deep"


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object; of two values for one key json itself would drop the first in silence."""
    built = dict(pairs)
    if len(built) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return built
