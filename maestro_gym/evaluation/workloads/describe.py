"""Describes a workload, alone or beside its traces: tables, samples for the plot, a part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.workloads.match import (
    Row,
    Sample,
    match_rows,
    merge,
    role_rows,
    sample_family,
    sample_trace,
    summary_rows,
)
from maestro_gym.workloads import FamilySpec, MachineFamilySpec, Trace, load_family
from maestro_gym.workloads.fitting.calls import OTHER
from maestro_gym.workloads.fitting.families import ReadTrace, read_traces
from maestro_gym.workloads.traces.tables import SUFFIXES, suffix_of

_ALL = "all"


@dataclass(frozen=True)
class Description:
    """What is told of a workload.

    Attributes:
        name: Of the workload.
        title: Heading of the plot.
        tables: Rows by title.
        notes: Sentences below the tables.
        samples: Numbers by name, for the plot.
    """

    name: str
    title: str
    tables: dict[str, list[Row]]
    notes: list[str]
    samples: dict[str, Sample]


def describe_workload(name: str, traces: Sequence[Path], format_name: str = "auto") -> Description:
    """Describe a workload.

    Args:
        name: A family of configs/workloads, a YAML file, or a trace file.
        traces: Traces that a family is held against; may be empty.
        format_name: Format of the traces.

    Returns:
        What is told.

    Raises:
        MaestroError: A file is bad, or the traces have none of the family's applications.
    """
    if suffix_of(Path(name)) in SUFFIXES:
        return _trace_alone(read_traces([Path(name)], format_name)[0])
    spec = load_family(name)
    label = Path(name).stem
    read = read_traces(traces, format_name) if traces else []
    theirs = {
        application: one.trace
        for one in read
        for application in one.trace.application_names
        if application in _applications(spec)
    }
    if read and not theirs:
        have = sorted({application for one in read for application in one.trace.application_names})
        raise MaestroError(
            f"workload describe {name}: the traces hold none of its applications "
            f"({', '.join(_applications(spec))}); they hold {', '.join(have)}."
        )
    whole, parts = sample_family(label, spec, _rate_rps(list(theirs.items())))
    if not theirs:
        rows = [row for application, part in parts.items() for row in summary_rows(application, part)]
        return Description(label, label, {label: rows}, [], {label: whole})
    samples = {application: sample_trace(trace, application) for application, trace in theirs.items()}
    together = merge(list(samples.values()))
    missing = [application for application in parts if application not in theirs]
    rows = [] if missing or len(theirs) == 1 else match_rows(_ALL, whole, together)
    roles, notes = [], []
    for application, sample in samples.items():
        rows += match_rows(application, parts[application], sample)
        roles += role_rows(application, parts[application], sample, OTHER)
        notes.append(
            f"{application}: {sample.reuse:.1%} of the prompt tokens of the trace could be reused, "
            f"{parts[application].reuse:.1%} of the family's."
        )
    notes += [f"{application}: no trace given." for application in missing]
    tables = {f"{label} beside its trace": rows, "calls of a role in a workflow": roles}
    return Description(label, label, tables, notes, {"trace": together, "family": whole})


def _applications(spec: FamilySpec | MachineFamilySpec) -> list[str]:
    return list(spec.machines if isinstance(spec, MachineFamilySpec) else spec.applications)


def _rate_rps(theirs: list[tuple[str, Trace]]) -> float:
    """Rate of the traces' workflows, 1 where none has a clock."""
    total = 0.0
    for application, trace in theirs:
        own = trace.workflows["application"] == trace.application_names.index(application)
        span_s = float(np.ptp(trace.workflows["arrival_s"][own]))
        total += int(own.sum()) / span_s if span_s > 0 else 0.0
    return total or 1.0


def _trace_alone(read: ReadTrace) -> Description:
    trace = read.trace
    samples = {application: sample_trace(trace, application) for application in trace.application_names}
    rows = [row for application, sample in samples.items() for row in summary_rows(application, sample)]
    notes = [
        f"{application}: {sample.reuse:.1%} of the prompt tokens could be reused."
        for application, sample in samples.items()
    ]
    name = read.path.name
    return Description(read.path.stem, name, {f"{name} ({read.format})": rows}, notes, {name: sample_trace(trace)})


def markdown(found: Description) -> str:
    """Write the tables of a comparison with traces as Markdown.

    Args:
        found: What is told.

    Returns:
        The text.
    """
    rows = next(iter(found.tables.values()))
    if not rows or "ks" not in rows[0]:
        raise MaestroError("--docs: the page holds tables of families beside their traces; give --trace too.")
    head = [
        "application",
        "quantity",
        "samples",
        "median, trace",
        "median, family",
        "error",
        "p90, trace",
        "p90, family",
        "error",
        "KS",
        "W1 / mean",
    ]
    lines = ["| " + " | ".join(head) + " |", "| --- | --- |" + " ---: |" * (len(head) - 2)]
    for row in rows:
        cells = [
            row["application"].replace("|", "\\|"),
            f"{row['quantity']} [{row['unit']}]",
            f"{row['trace_n']:,}",
            *(
                text
                for label in ("median", "p90")
                for text in (_number(row[f"{label}_trace"]), _number(row[label]), _percent(row[f"{label}_error_%"]))
            ),
            f"{row['ks']:.3f}",
            _percent(row["w1_of_mean_%"], sign=False),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in found.notes)])


def update_page(found: Description, page: Path) -> None:
    """Put the tables into a page of the documentation, between the two marks of the family.

    Args:
        found: What is told.
        page: Markdown file.

    Raises:
        MaestroError: The file or a mark is missing.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    first, last = (f"<!-- {word} {found.name} -->" for word in ("begin", "end"))
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise MaestroError(f"--docs {page}: must be a page that holds the lines {first} and {last}; add them.")
    page.write_text(f"{before}{begin}\n\n{markdown(found)}\n\n{end}{after}", encoding="utf-8")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def _percent(value: float, sign: bool = True) -> str:
    if not np.isfinite(value):
        return "none"
    return f"{value:+.1f} %" if sign else f"{value:.1f} %"
