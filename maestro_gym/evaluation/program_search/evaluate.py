"""From the text of a program to its score, its metrics, and words on what went wrong."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import maestro_gym
from maestro_gym.config.program_search import ProgramTask
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.program_search.candidate_process import CandidateProcess, Trial
from maestro_gym.evaluation.suite.fingerprint import digest
from maestro_gym.state import CLASS_NAMES

RULE_NAME = "RULE"
"""What a program calls its rule."""

TOLD = (
    "slo_attainment",
    *(f"slo_attainment_{name}" for name in CLASS_NAMES),
    "completion_mean_s",
    "completion_p95_s",
    "ttft_mean_s",
    "unfinished",
    "cold_starts",
    "preemptions",
)
"""Metrics that a search is told of, means over the episodes."""

_ORACLE = "oracle"


@dataclass(frozen=True)
class Verdict:
    """What a program is worth.

    Attributes:
        score: The share of deadlines met, plus `ProgramTask.completion` times the share by which mean completion lies
            below the reference's; at least 0, and 0 for a program that failed.
        metrics: Of `TOLD`, means over the episodes; empty where it failed.
        artifacts: Words, by what they are about.
        failed: Whether it failed.
    """

    score: float
    metrics: dict[str, float]
    artifacts: dict[str, str]
    failed: bool


class Evaluator:
    """Scores programs of one task; a context, which keeps one process for all of them."""

    def __init__(self, task: ProgramTask, kept_in: Path | None = None) -> None:
        """Take a task; the reference is run when it is first needed.

        Args:
            task: What is searched.
            kept_in: Folder in which the reference's metrics are kept for the next evaluator; None keeps none.
        """
        self._task, self._kept_in = task, kept_in
        self._process = CandidateProcess(task.limit_s)
        self._references: dict[str, list[dict[str, Any]]] = {}

    def __enter__(self) -> Evaluator:
        """Start nothing yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self._process.__exit__(*error)

    def score(self, program: Path) -> Verdict:
        """Score a program on the training episodes of the task, over its horizon.

        Args:
            program: A Python file with a rule called `RULE_NAME`; its code runs.

        Returns:
            Score and words; a program that fails is no error.

        Raises:
            MaestroError: There is no such file, or the reference or the scenario cannot be had.
        """
        task = self._task
        shorter = () if task.horizon_s is None else (f"horizon_s={task.horizon_s}",)
        return self._judge(program, "train", tuple(task.seeds), shorter)

    def validate(self, program: Path) -> Verdict:
        """Score a program on whole validation episodes; see `score`."""
        return self._judge(program, "validation", tuple(self._task.validation_seeds), ())

    def _judge(self, program: Path, split: str, seeds: tuple[int, ...], shorter: tuple[str, ...]) -> Verdict:
        if not program.is_file():
            raise MaestroError(f"{program}: there is no such program; give a Python file.")
        why = refused(program.read_text(encoding="utf-8", errors="replace"))
        if why:
            return _failure("load", why)
        theirs = self._reference(split, seeds, shorter)
        spec = f"{program}:{RULE_NAME}{around_of(self._task)}"
        ran = self._process.run(self._trial(spec, split, seeds, shorter))
        if ran.error:
            return _failure(ran.stage, ran.error)
        return _verdict(self._task, ran.rows, theirs)

    def _reference(self, split: str, seeds: tuple[int, ...], shorter: tuple[str, ...]) -> list[dict[str, Any]]:
        trial = self._trial(self._task.reference, split, seeds, shorter)
        name = digest([maestro_gym.__version__, *map(str, (trial.spec, trial.scenario, trial.overrides, split, seeds))])
        kept = None if self._kept_in is None else self._kept_in / f"reference-{name}.json"
        if name not in self._references and kept is not None and kept.is_file():
            self._references[name] = json.loads(kept.read_text(encoding="utf-8"))
        if name not in self._references:
            ran = self._process.run(trial)
            if ran.error:
                raise MaestroError(f"reference: {self._task.reference} cannot be run: {ran.error}")
            self._references[name] = [{metric: float(row[metric]) for metric in TOLD} for row in ran.rows]
            if kept is not None:
                write_whole(kept, json.dumps(self._references[name]) + "\n")
        return self._references[name]

    def _trial(self, spec: str, split: str, seeds: tuple[int, ...], shorter: tuple[str, ...]) -> Trial:
        return Trial(spec, self._task.scenario, (*self._task.overrides, *shorter), split, seeds)


def around_of(task: ProgramTask) -> str:
    """What follows the name of a program's rule so that the policy has the task's other rules, such as ``+maestro``."""
    return "" if task.around == "plain" else f"+{task.around}"


def refused(text: str) -> str:
    """Why a program is not run at all.

    The hidden future is an argument of every rule, because oracles need it. A rule that looks at it decides by what no
    scheduler knows. Its name alone is looked for: what hides its tracks is found by ``maestro-gym policies --check``.

    Args:
        text: The program.

    Returns:
        One sentence or two; empty where nothing speaks against it.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        return f"The program is no Python: {error}."
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == _ORACLE:
            return (
                f"Line {node.lineno} reads `{_ORACLE}`, the true future, which no scheduler knows. Use what the view "
                "tells of the past and the present, and its predictions."
            )
    return ""


def _failure(stage: str, why: str) -> Verdict:
    return Verdict(0.0, {}, {"error": why, "failure_stage": stage}, failed=True)


def _verdict(task: ProgramTask, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Verdict:
    metrics, others = _means(ours), _means(theirs)
    faster = 1.0 - metrics["completion_mean_s"] / others["completion_mean_s"]
    score = metrics["slo_attainment"] + task.completion * faster
    lines = [f"{'metric':<28}{'program':>12}{task.reference[:12]:>14}"]
    lines += [f"{name:<28}{_short(metrics[name]):>12}{_short(others[name]):>14}" for name in TOLD]
    return Verdict(
        max(0.0, score) if math.isfinite(score) else 0.0,
        metrics,
        {"beside_the_reference": "\n".join(lines), "what_to_look_at": _hints(task, metrics, others, ours, theirs)},
        failed=False,
    )


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    table = {name: np.array([float(row[name]) for row in rows]) for name in TOLD}
    return {
        name: float(np.nanmean(column)) if np.isfinite(column).any() else math.nan for name, column in table.items()
    }


def _hints(
    task: ProgramTask,
    ours: dict[str, float],
    theirs: dict[str, float],
    our_rows: Sequence[dict[str, Any]],
    their_rows: Sequence[dict[str, Any]],
) -> str:
    """Sentences on what the program loses, the largest first."""
    found: list[tuple[float, str]] = []
    for name in CLASS_NAMES:
        lost = theirs[f"slo_attainment_{name}"] - ours[f"slo_attainment_{name}"]
        if lost > 0:
            found.append(
                (lost, f"{name} workflows meet {lost:.1%} fewer of their deadlines than under {task.reference}.")
            )
    slower = ours["completion_mean_s"] / theirs["completion_mean_s"] - 1.0
    if slower > 0:
        found.append((slower, f"A workflow takes {slower:.0%} longer on average."))
    more = ours["unfinished"] - theirs["unfinished"]
    if more > 0:
        found.append((more, f"{more:.1f} more workflows an episode are not finished when it ends: some may starve."))
    loads = ours["cold_starts"] / max(1.0, theirs["cold_starts"]) - 1.0
    if loads > 0:
        found.append((0.1 * loads, f"Models are started {loads:.0%} more often: calls of one model are torn apart."))
    gaps = [a["slo_attainment"] - b["slo_attainment"] for a, b in zip(our_rows, their_rows, strict=True)]
    words = [text for _, text in sorted(found, reverse=True)] or [f"Nothing is worse than under {task.reference}."]
    worst = int(np.argmin(gaps))
    return " ".join([*words, f"Its weakest episode (number {worst + 1} of {len(gaps)}) is {gaps[worst]:+.1%} to it."])


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
