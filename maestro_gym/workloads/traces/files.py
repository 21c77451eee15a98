"""Opens trace files: CSV, Parquet and JSON lines, and finds out which format one has."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from maestro_gym.config import config_dir, hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers import (
    agentcgroup,
    azure,
    burstgpt,
    chatdev,
    lmcache,
    mooncake,
    otel,
    plain_requests,
    taubench,
    who_and_when,
)
from maestro_gym.workloads.traces.checks import require_columns
from maestro_gym.workloads.traces.episode_arrays import build_trace
from maestro_gym.workloads.traces.format import COLUMNS, ROW, Trace


class TraceFormat(NamedTuple):
    """A format that can be read.

    Attributes:
        columns: Columns that a file must have, by which it is recognised.
        convert: Turns its table into one of the workflow-trace format.
        never: Columns that it does not have, and a format that includes its columns does.
        origin: Where such files come from.
    """

    columns: tuple[str, ...]
    convert: Callable[[pd.DataFrame, str], pd.DataFrame]
    origin: str = ""
    never: tuple[str, ...] = ()


def _keep(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    del source
    return frame


FORMATS: dict[str, TraceFormat] = {
    "workflow": TraceFormat(tuple(name for name, column in COLUMNS.items() if column.required), _keep),
    "azure": TraceFormat(azure.COLUMNS, azure.convert, "Azure/AzurePublicDataset (Patel et al., ISCA 2024)"),
    "mooncake": TraceFormat(mooncake.COLUMNS, mooncake.convert, "kvcache-ai/Mooncake (Qin et al., FAST 2025)"),
    "chatdev": TraceFormat(chatdev.COLUMNS, chatdev.convert, "OpenBMB/ChatDev (Qian et al., ACL 2024)"),
    "agentcgroup": TraceFormat(agentcgroup.COLUMNS, agentcgroup.convert, "eunomia-bpf/agentcgroup"),
    "lmcache": TraceFormat(lmcache.COLUMNS, lmcache.convert, "LMCache/lmcache-agent-trace"),
    "taubench": TraceFormat(taubench.COLUMNS, taubench.convert, "sierra-research/tau-bench (Yao et al., 2024)"),
    "who_and_when": TraceFormat(
        who_and_when.COLUMNS, who_and_when.convert, "ag2ai/Agents_Failure_Attribution (Zhang et al., ICML 2025)"
    ),
    "burstgpt": TraceFormat(burstgpt.COLUMNS, burstgpt.convert, "HPMLL/BurstGPT (Wang et al., arXiv 2401.17644)"),
    "otel": TraceFormat(otel.COLUMNS, otel.convert),
    "otlp": TraceFormat(otel.OTLP_COLUMNS, otel.convert_otlp),
    "requests": TraceFormat(
        plain_requests.COLUMNS, plain_requests.convert, never=("workflow_id", "call_id", "parent_ids")
    ),
}


def read_trace(path: str | Path, format_name: str = "auto") -> Trace:
    """Read and check a trace file; see ``read_named``.

    Args:
        path: A CSV (.csv), Parquet (.parquet, .pq) or JSON-lines (.jsonl) file, or a sample's bare name.
        format_name: A name of ``FORMATS``, or auto: recognised by the columns.

    Returns:
        The trace.

    Raises:
        MaestroError: The file cannot be read or breaks a rule of its format.
    """
    return read_named(path, format_name)[0]


def read_named(path: str | Path, format_name: str = "auto") -> tuple[Trace, str]:
    """Read and check a trace file, and say which format it has.

    Args:
        path: A CSV (.csv), Parquet (.parquet, .pq) or JSON-lines (.jsonl) file, or a sample's bare name.
        format_name: A name of ``FORMATS``, or auto: recognised by the columns.

    Returns:
        The trace, and a name of ``FORMATS``.

    Raises:
        MaestroError: The file cannot be read or breaks a rule of its format.
    """
    path = find_trace(path)
    frame = open_table(path)
    source = str(path)
    if format_name == "auto":
        format_name = _recognise(frame, source)
    if format_name not in FORMATS:
        raise MaestroError(f"workload.format: there is no format `{format_name}`; use auto, {', '.join(FORMATS)}.")
    chosen = FORMATS[format_name]
    require_columns(frame, chosen.columns, source, format_name)
    if len(frame) == 0:
        raise MaestroError(f"{source}: holds no calls; a trace needs at least one row after its header.")
    return build_trace(chosen.convert(frame, source), source), format_name


def find_trace(path: str | Path) -> Path:
    """Find a trace: a path is itself, and a bare name is a sample of ``configs/traces``, which every installation has.

    Args:
        path: ``mine.csv``, or ``sample``.

    Returns:
        The file, which may not exist if a path was given.

    Raises:
        MaestroError: There is no sample of that name.
    """
    path = Path(path)
    if path.suffix or path.parent != Path() or os.path.exists(path):
        return path
    samples = {file.stem: file for file in sorted((config_dir() / "traces").iterdir())}
    if str(path) not in samples:
        raise MaestroError(
            f"workload.trace: there is no `{path}` in configs/traces. {hint(str(path), list(samples))} "
            "A file of your own is named with its ending: .csv, .parquet or .jsonl."
        )
    return samples[str(path)]


def open_table(path: Path) -> pd.DataFrame:
    """Open a table.

    Args:
        path: A CSV (as text), Parquet or JSON-lines file.

    Returns:
        The table, with ``ROW``.

    Raises:
        MaestroError: The file cannot be read, or a column stands twice.
    """
    if not os.path.isfile(path):
        raise MaestroError(f"workload.trace: the file `{path}` does not exist. Check the path.")
    suffix = path.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        elif suffix in (".jsonl", ".ndjson"):
            frame = _read_json_lines(path)
        elif suffix in (".csv", ".txt"):
            # As text, so that a message can quote the cell as it stands in the file.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, skipinitialspace=True)
        else:
            raise MaestroError(f"{path}: `{suffix}` is no trace; give a .csv, .parquet or .jsonl file.")
    except (ValueError, OSError, OverflowError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
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


def _read_json_lines(path: Path) -> pd.DataFrame:
    """Read one object a line; pandas' own reader would turn a `timestamp` into a date."""
    records = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line, object_pairs_hook=_without_doubles)
            except json.JSONDecodeError as error:
                raise MaestroError(f"{path}: line {number} is no JSON ({error.msg}); mend it.") from None
            except (KeyError, RecursionError) as error:
                reason = f"the key {error} stands twice in one object" if isinstance(error, KeyError) else "too deep"
                raise MaestroError(f"{path}: line {number} cannot be used ({reason}); mend it.") from None
            if not isinstance(record, dict):
                raise MaestroError(f"{path}: line {number} is no JSON object; write one object a line.")
            records.append(record)
    return pd.DataFrame(records)


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object; of two values for one key json itself would drop the first in silence."""
    built = dict(pairs)
    if len(built) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return built


def _recognise(frame: pd.DataFrame, source: str) -> str:
    """Name the format whose columns are all there, or complain about the most similar one."""
    present = set(frame.columns)
    for name, known in FORMATS.items():
        if present.issuperset(known.columns) and not present & set(known.never):
            return name
    possible = [name for name, known in FORMATS.items() if not present & set(known.never)]
    nearest = max(possible, key=lambda name: len(present & set(FORMATS[name].columns)) / len(FORMATS[name].columns))
    if not present & set(FORMATS[nearest].columns):
        nearest = "workflow"
    require_columns(frame, FORMATS[nearest].columns, source, nearest)
    return nearest
