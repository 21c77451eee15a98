"""The leaderboard: a page that is made from records and from nothing else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.define import metric_of
from maestro_gym.evaluation.report.display import bounds, number
from maestro_gym.evaluation.statistics import Interval
from maestro_gym.evaluation.suite.definition import BenchmarkConfig, benchmark_names
from maestro_gym.evaluation.suite.marks import UNRANKED
from maestro_gym.evaluation.suite.record import Estimate, Record, read_record

_HEAD = """# Leaderboard

<!-- Written by `make leaderboard` from the records in benchmarks/records; do not edit by hand. -->

Every number is from a record that `maestro-gym benchmark check` runs again: a mean over the test seeds with its 95 %
interval. Differences to the reference are paired by seed, and bold where the interval excludes zero.
[benchmarks.md](benchmarks.md) says what the benchmarks are, how a policy gets on this page, and what the marks mean.
Policies with a mark that breaks a rule of the benchmark stand below the others, without a place. In the overview an
asterisk stands for a mark.
"""


def read_records(paths: Sequence[Path]) -> dict[Path, Record]:
    """Read records, and all in folders.

    Args:
        paths: Files, and folders in which every ``.json`` file at any depth is a record.

    Returns:
        Records by file, sorted.

    Raises:
        MaestroError: There are none, or a file is no record.
    """
    files = [file for path in paths for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise MaestroError(f"no record in {', '.join(map(str, paths))}. `maestro-gym benchmark run` writes them.")
    return {file: read_record(file) for file in files}


def leaderboard_markdown(records: dict[Path, Record], folder: Path) -> str:
    """Write the page.

    Args:
        records: By file; what they say is shown as it is.
        folder: Where the page will lie, for links to the records.

    Returns:
        Markdown.

    Raises:
        MaestroError: Records of one benchmark are of different definitions.
    """
    groups: dict[str, dict[Path, Record]] = {}
    for file, record in records.items():
        groups.setdefault(Path(record.benchmark).stem, {})[file] = record
    for name, group in groups.items():
        first, *rest = group.items()
        for file, record in rest:
            if record.definition != first[1].definition:
                raise MaestroError(
                    f"{file} and {first[0]} are of different versions of {name}. Run the older one again: "
                    f"maestro-gym benchmark run {name}"
                )
    known = benchmark_names()
    names = sorted(groups, key=lambda name: (name not in known, name))
    parts = [_HEAD, _overview({name: list(groups[name].values()) for name in names})]
    parts += [_section(name, groups[name], folder) for name in names]
    return "\n".join(parts)


def _overview(groups: dict[str, list[Record]]) -> str:
    """The metric that decides, a benchmark in a row and a policy in a column; the best of each row is bold.

    Policies that were run on half of the benchmarks or fewer, such as rules that were made for one of them, share the
    last column: the best of them stands there with its name.
    """
    counts = Counter(record.policy.name for group in groups.values() for record in group)
    policies = sorted(name for name, count in counts.items() if 2 * count > len(groups))
    columns = [*policies, *(["best of the others"] if len(policies) < len(counts) else [])]
    rows = []
    for name, group in groups.items():
        best = next((record.policy.name for record in _ranked(group)), None)
        by_policy = {record.policy.name: record for record in group}
        cells = [_short(by_policy.get(policy), bold=policy == best) for policy in policies]
        others = [record for record in group if record.policy.name not in policies]
        if others:
            other = (_ranked(others) or others)[0]
            cells.append(f"{other.policy.name} {_short(other, bold=other.policy.name == best)}")
        cells += [""] * (len(columns) - len(cells))
        rows.append(f"| [{name}](#{name}) | {_heading(group[0].definition.metric)} | {' | '.join(cells)} |")
    head = f"| benchmark | metric | {' | '.join(columns)} |\n| --- | --- |{' ---: |' * len(columns)}"
    return "## Overview\n\n" + "\n".join([head, *rows]) + "\n"


def _section(name: str, group: dict[Path, Record], folder: Path) -> str:
    config = next(iter(group.values())).definition
    files = {id(record): file for file, record in group.items()}
    ranked = _ranked(list(group.values()))
    others = [record for record in group.values() if record not in ranked]
    columns = [
        "place",
        "policy",
        "class",
        _heading(config.metric),
        f"to {config.reference}",
        *map(_heading, config.also),
        "marks",
        "record",
    ]
    numeric = " ---: |" * (2 + len(config.also))
    lines = [f"| {' | '.join(columns)} |", f"| ---: | --- | --- |{numeric} --- | --- |"]
    for place, record in [*((str(index), r) for index, r in enumerate(ranked, 1)), *(("", r) for r in others)]:
        cells = [place, record.policy.name, record.policy.information + (", learned" if record.policy.learned else "")]
        decides = record.summary[config.metric]
        cells += [_value(config.metric, decides.value), _change(config.metric, decides.difference, record)]
        cells += [_value(column, record.summary[column].value) for column in config.also]
        link = Path(os.path.relpath(files[id(record)], folder)).as_posix()
        cells += ["; ".join(record.marks), f"[{files[id(record)].stem}]({link})"]
        lines.append(f"| {' | '.join(cells)} |")
    marks = [f"- {r.policy.name}: {kind}: {words}." for r in group.values() for kind, words in r.marks.items()]
    text = f"## {name}\n\n{config.description} {_terms(config)}\n\n" + "\n".join(lines) + "\n"
    return text + ("\n" + "\n".join(marks) + "\n" if marks else "")


def _terms(config: BenchmarkConfig) -> str:
    seeds = f"Test seeds {config.seeds.test}."
    return seeds if config.held_out is None else f"{seeds} Training never touches its {config.held_out}."


def _ranked(records: list[Record]) -> list[Record]:
    """Those that have a place, the best first."""
    metric = records[0].definition.metric
    sign = -1.0 if metric_of(metric).better == "higher" else 1.0
    fair = [r for r in records if not set(UNRANKED) & r.marks.keys() and r.summary[metric].value.mean is not None]
    return sorted(fair, key=lambda r: (sign * (r.summary[metric].value.mean or 0.0), r.policy.name))


def _short(record: Record | None, *, bold: bool) -> str:
    if record is None:
        return ""
    metric = record.definition.metric
    mean = record.summary[metric].value.mean
    text = "" if mean is None else number(mean * _scale(metric)) + ("*" if record.marks else "")
    return f"**{text}**" if bold else text


def _value(column: str, value: Estimate) -> str:
    if value.mean is None:
        return ""
    return f"{number(value.mean * _scale(column))} {bounds(_interval(value), _scale(column))}".strip()


def _change(column: str, value: Estimate, record: Record) -> str:
    if value.mean is None or record.policy.spec == record.reference.spec:
        return ""
    interval = _interval(value)
    text = number(interval.estimate * _scale(column), signed=True)
    return f"{f'**{text}**' if interval.excludes_zero else text} {bounds(interval, _scale(column))}".strip()


def _heading(column: str) -> str:
    return f"{column.removesuffix('_s').replace('_', ' ')}{_unit(column)}"


def _unit(column: str) -> str:
    unit = metric_of(column).unit
    return ", %" if unit == "1" else f", {unit}" if unit == "s" else ""


def _scale(column: str) -> float:
    return 100.0 if metric_of(column).unit == "1" else 1.0


def _interval(value: Estimate) -> Interval:
    nan = float("nan")
    low, high = (nan if end is None else end for end in (value.low, value.high))
    return Interval(nan if value.mean is None else value.mean, low, high, value.n)
