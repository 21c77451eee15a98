"""Measure the tables of the docs again: ``python benchmarks/results.py [NAME ...] [--traces DIR]``, ``make results``.

``benchmarks/results.yaml`` holds the comparisons and the tables that are made of them. Each comparison runs into
``runs/results/NAME``, where an interrupted one goes on and a finished one is taken as it is (``--anew`` forgets it). A
table stands in its page between two comments that name it, with its command, day and commit.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from maestro_gym.cli.console import seed_numbers
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import run_folder
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.report.display import SHOWN, Shown, bounds, number
from maestro_gym.evaluation.statistics import Interval, relative_change

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "results"
PLAN = ROOT / "benchmarks" / "results.yaml"
TRACES = "{traces}"


def run(name: str, plan: dict[str, Any], traces: Path | None, *, anew: bool) -> Comparison:
    """Run one comparison, or go on with it.

    Args:
        name: Of the comparison; its folder.
        plan: Its entry in the file.
        traces: Folder of public traces.
        anew: Forget what is there.

    Returns:
        The comparison.
    """
    folder = RUNS / name
    if anew and folder.exists():
        shutil.rmtree(folder)
    begun = folder.exists()
    with run_folder(folder, resume=begun):
        return compare(
            plan["scenarios"],
            plan["policies"],
            predictors=plan.get("predictors", []),
            contentions=plan.get("contentions"),
            seeds=seed_numbers(plan["seeds"]),
            overrides=[word.replace(TRACES, str(traces)) for word in plan.get("overrides", [])],
            folder=folder,
            resume=begun,
            reference=plan["reference"],
            own_limits=plan.get("own_limits", False),
        )


def command_of(plan: dict[str, Any]) -> str:
    """The command line of a comparison, as a reader would type it."""
    words = ["maestro-gym", "compare", "-s", ",".join(plan["scenarios"])]
    if plan.get("contentions"):
        words += ["-c", ",".join(plan["contentions"])]
    words += ["--seeds", plan["seeds"], "--reference", plan["reference"], "-p", ",".join(plan["policies"])]
    if plan.get("predictors"):
        words += ["--predictors", ",".join(plan["predictors"])]
    if plan.get("own_limits"):
        words.append("--own-limits")
    shown = [word.replace(TRACES, "TRACES") for word in plan.get("overrides", [])]
    return shlex.join([*words, *shown])


def policies_table(comparison: Comparison, table: dict[str, Any]) -> str:
    """One table a setting: a row a policy, best first; a metric's mean and its paired difference to the reference."""
    shown = [SHOWN[column] for column in table["metrics"]]
    parts = []
    for setting in comparison.settings:
        names = _chosen(comparison, table)
        first = shown[0]
        sign = -1.0 if first.better == "higher" else 1.0
        names.sort(key=lambda name: sign * comparison.cell(setting, name, first.column).value.estimate)
        heads = [words for item in shown for words in (item.heading, f"to {comparison.reference}")]
        rows = [["policy", *heads], ["---", *["---:"] * len(heads)]]
        for name in names:
            cells = [f"`{name}`"]
            for item in shown:
                cell = comparison.cell(setting, name, item.column)
                cells.append(f"{number(cell.value.estimate * item.scale)} {bounds(cell.value, item.scale)}")
                cells.append("" if name == comparison.reference else _difference(cell.difference, item.scale))
            rows.append(cells)
        title = f"**{setting.scenario}, {setting.contention}**\n\n" if len(comparison.settings) > 1 else ""
        lead = _lead(comparison, setting, table["lead"], shown[0]) if "lead" in table else ""
        parts.append(title + lead + _lines(rows))
    return "\n\n".join(parts)


def gains_table(comparison: Comparison, table: dict[str, Any]) -> str:
    """A row a policy, a column a setting: the paired difference of one metric to the reference."""
    item = SHOWN[table["metrics"][0]]
    heads = [_place(comparison, setting) for setting in comparison.settings]
    rows = [[f"{item.heading}, to {comparison.reference}", *heads], ["---", *["---:"] * len(heads)]]
    for name in _chosen(comparison, table):
        if name != comparison.reference:
            cells = [comparison.cell(setting, name, item.column).difference for setting in comparison.settings]
            rows.append([f"`{name}`", *(_difference(cell, item.scale) for cell in cells)])
    base = [comparison.cell(setting, comparison.reference, item.column).value for setting in comparison.settings]
    rows.append(
        [f"{comparison.reference} itself", *(f"{number(value.estimate * item.scale)}" for value in base)],
    )
    return _lines(rows)


def pair_table(comparison: Comparison, table: dict[str, Any]) -> str:
    """A row a setting: the reference, one policy, their difference, and the best of the others."""
    policy = table["policy"]
    others = [name for name in _chosen(comparison, table) if name not in (policy, comparison.reference)]
    rows = [["setting", f"{comparison.reference}, SLO", f"`{policy}`, SLO", "points", "mean completion", "best other"]]
    rows.append(["---", "---:", "---:", "---:", "---:", "---"])
    for setting in comparison.settings:
        cell = comparison.cell(setting, policy, "slo_attainment")
        base = comparison.cell(setting, comparison.reference, "slo_attainment").value.estimate
        times = [comparison.values(setting, name)["completion_mean_s"] for name in (policy, comparison.reference)]
        change = relative_change(times[0].to_numpy(), times[1].to_numpy())
        best = max(others, key=lambda name: comparison.cell(setting, name, "slo_attainment").value.estimate, default="")
        value = comparison.cell(setting, best, "slo_attainment").value.estimate if best else 0.0
        rows.append(
            [
                f"{setting.scenario}, {setting.contention}",
                f"{100 * base:.1f}",
                f"{100 * cell.value.estimate:.1f}",
                _difference(cell.difference, 100.0),
                f"{_difference(change, 100.0)} %",
                f"`{best}` {100 * value:.1f}" if best else "",
            ]
        )
    return _lines(rows)


def summary_table(rows: list[dict[str, Any]], comparisons: dict[str, Comparison]) -> str:
    """A row a question: the reference, the best rule made for it, and one policy beside both, on one metric.

    Args:
        rows: What is asked: ``thing``, ``decision``, ``of`` (a comparison), ``metric`` and ``policy``.
        comparisons: By name.
    """
    heads = ["left open", "scenario", "what is decided", "metric", "Maestro as published", "best rule for it"]
    table = [[*heads, "to Maestro", "searched", "to Maestro", "to that rule"], ["---"] * 4 + ["---:"] * 6]
    for row in rows:
        comparison, item, policy = comparisons[row["of"]], SHOWN[row["metric"]], row["policy"]
        (setting,) = comparison.settings
        sign = 1.0 if item.better == "higher" else -1.0
        names = [label.name for label in comparison.policies if label.name not in (policy, comparison.reference)]
        best = max(names, key=lambda name: sign * comparison.cell(setting, name, item.column).value.estimate)
        cells = {name: comparison.cell(setting, name, item.column) for name in (comparison.reference, best, policy)}
        values = {name: number(cell.value.estimate * item.scale) for name, cell in cells.items()}
        gap = comparison.difference(setting, policy, best, item.column)
        table.append(
            [
                row["thing"],
                f"`{setting.scenario}`, {setting.contention}",
                row["decision"],
                item.heading,
                values[comparison.reference],
                f"`{best}` {values[best]}",
                _difference(cells[best].difference, item.scale),
                values[policy],
                _difference(cells[policy].difference, item.scale),
                _difference(gap, item.scale),
            ]
        )
    return _lines(table)


def _lead(comparison: Comparison, setting: Setting, policy: str, item: Shown) -> str:
    """Say how far a policy is from the best other one that does not know the future."""
    sign = 1.0 if item.better == "higher" else -1.0
    others = [label.name for label in comparison.policies if label.name != policy and label.information != "O"]
    best = max(others, key=lambda name: sign * comparison.cell(setting, name, item.column).value.estimate)
    gap = comparison.difference(setting, policy, best, item.column)
    return f"`{policy}` to the best other that does not know the future, `{best}`: {_difference(gap, item.scale)}.\n\n"


LAYOUTS = {"policies": policies_table, "gains": gains_table, "pair": pair_table}


def _place(comparison: Comparison, setting: Setting) -> str:
    many = len({item.scenario for item in comparison.settings}) > 1
    return f"{setting.scenario}, {setting.contention}" if many else setting.contention


def _chosen(comparison: Comparison, table: dict[str, Any]) -> list[str]:
    names = [policy.name for policy in comparison.policies]
    return [name for name in names if name in table["policies"]] if "policies" in table else names


def _difference(interval: Interval, scale: float) -> str:
    text = number(interval.estimate * scale, signed=True)
    return f"{f'**{text}**' if interval.excludes_zero else text} {bounds(interval, scale)}"


def _lines(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def write(page: Path, mark: str, text: str) -> None:
    """Put a table between the comments that name it.

    Args:
        page: The page.
        mark: Name of the table.
        text: What stands there from now on.

    Raises:
        MaestroError: The page has no such place.
    """
    begin, end = f"<!-- results {mark} begin -->", f"<!-- results {mark} end -->"
    old = page.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise MaestroError(f"{page}: has no place for the table; write `{begin}` and `{end}` where it belongs.")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    page.write_text(pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", old), encoding="utf-8")


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def main() -> None:
    """Run and write."""
    plans: dict[str, dict[str, Any]] = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Measure the tables of the docs again.")
    parser.add_argument("names", nargs="*", help=f"comparisons; none: all of {', '.join(plans)}")
    parser.add_argument("--traces", type=Path, help="folder of public traces; without it their tables stay as they are")
    parser.add_argument("--anew", action="store_true", help="forget comparisons that are in runs/results")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in plans]
    if unknown:
        parser.error(f"no such comparison: {', '.join(unknown)}; there are {', '.join(plans)}")
    traces = options.traces.resolve() if options.traces else None
    os.chdir(ROOT)
    console = Console()
    for name in options.names or list(plans):
        plan = plans[name]
        if traces is None and any(TRACES in word for word in plan.get("overrides", [])):
            console.print(f"{name}: left as it is; --traces DIR names the folder of its trace")
            continue
        console.rule(name)
        if "summary" in plan:
            of = {row["of"]: run(row["of"], plans[row["of"]], traces, anew=False) for row in plan["summary"]}
            commands = "\n\n".join(f"`{command_of(plans[part])}`" for part in of)
            made = f"{commands}\n\n{time.strftime('%Y-%m-%d')}, commit {_commit()}."
            write(ROOT / "docs" / plan["page"], name, f"{summary_table(plan['summary'], of)}\n\n{made}")
            continue
        comparison = run(name, plan, traces, anew=options.anew)
        made = f"`{command_of(plan)}`\n\n{time.strftime('%Y-%m-%d')}, commit {_commit()}."
        for mark, table in plan.get("tables", {}).items():
            body = LAYOUTS[table["layout"]](comparison, table)
            write(ROOT / "docs" / table["page"], mark, f"{body}\n\n{made}")


if __name__ == "__main__":
    try:
        main()
    except MaestroError as error:
        sys.exit(str(error))
