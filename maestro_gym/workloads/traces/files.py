"""Reads trace files: finds out which format one has, and has its importer turn it into calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from maestro_gym.config import config_dir, hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers import (
    agentcgroup,
    aiperf,
    azure,
    bailian,
    burstgpt,
    chatdev,
    langfuse,
    langsmith,
    lmcache,
    mooncake,
    otel,
    plain_requests,
    servegen,
    taubench,
    tracelab,
    vllm_bench,
    weka,
    who_and_when,
)
from maestro_gym.workloads.traces.checks import Origin, require_columns
from maestro_gym.workloads.traces.episode_arrays import build_trace
from maestro_gym.workloads.traces.format import COLUMNS, Converted, Fields, Trace
from maestro_gym.workloads.traces.tables import open_table


class TraceFormat(NamedTuple):
    """A format that can be read.

    Attributes:
        columns: Columns that a file must have, by which it is recognised.
        convert: Turns its table into one of the workflow-trace format.
        fields: Which of its columns becomes which of that format.
        origin: Where such files come from.
        never: Columns that it does not have, and a format that includes its columns does.
    """

    columns: tuple[str, ...]
    convert: Callable[[pd.DataFrame, str], Converted]
    fields: Fields
    origin: str = ""
    never: tuple[str, ...] = ()


class Imported(NamedTuple):
    """A file that was read.

    Attributes:
        trace: Its calls, checked.
        format: A name of ``FORMATS``.
        converted: The calls as a table, and what the importer had to say.
        origin: The file's own table and the names of its columns.
    """

    trace: Trace
    format: str
    converted: Converted
    origin: Origin


def _keep(frame: pd.DataFrame, source: str) -> Converted:
    del source
    return Converted(frame)


FORMATS: dict[str, TraceFormat] = {
    "workflow": TraceFormat(
        tuple(name for name, column in COLUMNS.items() if column.required),
        _keep,
        {name: (name,) for name in COLUMNS},
    ),
    "azure": TraceFormat(
        azure.COLUMNS, azure.convert, azure.FIELDS, "Azure/AzurePublicDataset (Patel et al., ISCA 2024)"
    ),
    "mooncake": TraceFormat(
        mooncake.COLUMNS,
        mooncake.convert,
        mooncake.FIELDS,
        "kvcache-ai/Mooncake (Qin et al., FAST 2025)",
        never=("chat_id", "parent_chat_id", "turn"),
    ),
    "bailian": TraceFormat(
        bailian.COLUMNS,
        bailian.convert,
        bailian.FIELDS,
        "alibaba-edu/qwen-bailian-usagetraces-anon (Wang et al., ATC 2025)",
    ),
    "chatdev": TraceFormat(chatdev.COLUMNS, chatdev.convert, chatdev.FIELDS, "OpenBMB/ChatDev (Qian et al., ACL 2024)"),
    "agentcgroup": TraceFormat(agentcgroup.COLUMNS, agentcgroup.convert, agentcgroup.FIELDS, "eunomia-bpf/agentcgroup"),
    "lmcache": TraceFormat(lmcache.COLUMNS, lmcache.convert, lmcache.FIELDS, "LMCache/lmcache-agent-trace"),
    "taubench": TraceFormat(
        taubench.COLUMNS, taubench.convert, taubench.FIELDS, "sierra-research/tau-bench (Yao et al., 2024)"
    ),
    "who_and_when": TraceFormat(
        who_and_when.COLUMNS,
        who_and_when.convert,
        who_and_when.FIELDS,
        "ag2ai/Agents_Failure_Attribution (Zhang et al., ICML 2025)",
    ),
    "burstgpt": TraceFormat(
        burstgpt.COLUMNS, burstgpt.convert, burstgpt.FIELDS, "HPMLL/BurstGPT (Wang et al., arXiv 2401.17644)"
    ),
    "otel": TraceFormat(otel.COLUMNS, otel.convert, otel.FIELDS),
    "otlp": TraceFormat(otel.OTLP_COLUMNS, otel.convert_otlp, otel.FIELDS),
    "otel_sdk": TraceFormat(otel.SDK_COLUMNS, otel.convert_sdk, otel.FIELDS),
    "phoenix": TraceFormat(otel.PHOENIX_COLUMNS, otel.convert_phoenix, otel.FIELDS),
    "langfuse": TraceFormat(langfuse.COLUMNS, langfuse.convert, langfuse.FIELDS),
    "langfuse_blob": TraceFormat(langfuse.SNAKE_COLUMNS, langfuse.convert, langfuse.FIELDS),
    "langfuse_traces": TraceFormat(langfuse.TRACE_COLUMNS, langfuse.convert_traces, langfuse.FIELDS),
    "langsmith": TraceFormat(langsmith.COLUMNS, langsmith.convert, langsmith.FIELDS),
    "weka": TraceFormat(weka.COLUMNS, weka.convert, weka.FIELDS, "callanjfox/kv-cache-tester"),
    "tracelab": TraceFormat(tracelab.COLUMNS, tracelab.convert, tracelab.FIELDS, "uw-syfi/TraceLab"),
    "servegen": TraceFormat(
        servegen.COLUMNS, servegen.convert, servegen.FIELDS, "alibaba/ServeGen (Xiang et al., arXiv 2505.09999)"
    ),
    "vllm_bench": TraceFormat(vllm_bench.COLUMNS, vllm_bench.convert, vllm_bench.FIELDS),
    "aiperf": TraceFormat(aiperf.COLUMNS, aiperf.convert, aiperf.FIELDS),
    "requests": TraceFormat(
        plain_requests.COLUMNS,
        plain_requests.convert,
        plain_requests.FIELDS,
        never=("workflow_id", "call_id", "parent_ids"),
    ),
}


_NO_CALLS = (
    (
        ("total_input_tokens", "total_output_tokens", "request_throughput"),
        "is the summary of a serving benchmark without its requests; run it again with --save-result --save-detailed "
        "(SGLang: --output-details)",
    ),
    (
        ("request_throughput", "request_latency", "input_config"),
        "is AIPerf's summary; the requests are in profile_export.jsonl beside it",
    ),
    (
        ("client_id", "window_start_s", "input_tokens_p50"),
        "holds ServeGen's lengths; import the file of arrivals beside it",
    ),
    (
        ("checkpoint_model_version_id", "num_inference_steps"),
        "holds requests for images, no calls of language models; their popularity can be fitted (maestro-gym workload "
        "fit --kind popularity)",
    ),
)
"""Columns of files that people try to import and that hold no calls, and where the calls are."""


def read_trace(path: str | Path, format_name: str = "auto") -> Trace:
    """Read and check a trace file; see ``import_trace``.

    Args:
        path: A file that ends in one of ``SUFFIXES`` (text may be gzipped), or a sample's bare name.
        format_name: A name of ``FORMATS``, or auto: recognised by the columns.

    Returns:
        The trace.

    Raises:
        MaestroError: The file cannot be read or breaks a rule of its format.
    """
    return import_trace(path, format_name).trace


def import_trace(path: str | Path, format_name: str = "auto") -> Imported:
    """Read and check a trace file, and keep what was seen in it.

    Args:
        path: A file that ends in one of ``SUFFIXES`` (text may be gzipped), or a sample's bare name.
        format_name: A name of ``FORMATS``, or auto: recognised by the columns.

    Returns:
        The trace, its format, and how it was read.

    Raises:
        MaestroError: The file cannot be read or breaks a rule of its format.
    """
    path = find_trace(path)
    frame = otel.in_camel_case(open_table(path))
    source = str(path)
    if format_name == "auto":
        format_name = _recognise(frame, source)
    if format_name not in FORMATS:
        raise MaestroError(f"workload.format: there is no format `{format_name}`; use auto, {', '.join(FORMATS)}.")
    chosen = FORMATS[format_name]
    require_columns(frame, chosen.columns, source, format_name)
    if len(frame) == 0:
        raise MaestroError(f"{source}: holds no calls; a trace needs at least one row after its header.")
    converted = chosen.convert(frame, source)
    if format_name != "workflow":
        converted = _in_order_of_arrival(converted)
    origin = Origin(source, frame, chosen.fields)
    return Imported(build_trace(converted.table, origin), format_name, converted, origin)


def _in_order_of_arrival(converted: Converted) -> Converted:
    """Sort workflows by their arrival: other formats do not promise an order."""
    table = converted.table
    arrival_s = table.groupby("workflow_id", sort=False)["arrival_s"].transform("first").to_numpy(np.float64)
    if np.all(np.diff(arrival_s) >= 0):
        return converted
    table = table.iloc[np.argsort(arrival_s, kind="stable")].reset_index(drop=True)
    return converted._replace(
        table=table, notes=(*converted.notes, "the file is not in order of time; calls were sorted by arrival")
    )


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
            "A file of your own is named with its ending: .csv, .parquet, .jsonl or .json."
        )
    return samples[str(path)]


def _recognise(frame: pd.DataFrame, source: str) -> str:
    """Name the format whose columns are all there, or complain about the most similar one."""
    present = set(frame.columns)
    for name, known in FORMATS.items():
        if present.issuperset(known.columns) and not present & set(known.never):
            return name
    for columns, instead in _NO_CALLS:
        if present.issuperset(columns):
            raise MaestroError(f"{source}: {instead}.")
    possible = [name for name, known in FORMATS.items() if not present & set(known.never)]
    nearest = max(possible, key=lambda name: len(present & set(FORMATS[name].columns)) / len(FORMATS[name].columns))
    if not present & set(FORMATS[nearest].columns):
        nearest = "workflow"
    require_columns(frame, FORMATS[nearest].columns, source, nearest)
    return nearest
