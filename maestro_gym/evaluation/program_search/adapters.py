"""A verdict in the forms that tools for program search read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.program_search.evaluate import Evaluator, Verdict
from maestro_gym.evaluation.program_search.export import read_task

SCORE = "combined_score"
"""What OpenEvolve and ShinkaEvolve call the number that they raise."""


def for_openevolve(program: Path, task: Path) -> Any:  # noqa: ANN401 - OpenEvolve's own class, where it is installed
    """Score a program for OpenEvolve.

    Args:
        program: The program.
        task: The task file.

    Returns:
        OpenEvolve's ``EvaluationResult`` of numbers and artefacts; without OpenEvolve, the numbers as a dictionary,
        which it takes as well.
    """
    verdict = _scored(program, task)
    numbers = {SCORE: verdict.score, **_known(verdict)}
    try:
        from openevolve.evaluation_result import EvaluationResult  # pyright: ignore[reportMissingImports]
    except ImportError:
        return numbers
    return EvaluationResult(metrics=numbers, artifacts=verdict.artifacts)


def for_shinka(program: Path, results: Path, task: Path) -> None:
    """Score a program for ShinkaEvolve: it reads ``metrics.json`` and ``correct.json``.

    Args:
        program: The program.
        results: Folder of the two files; it is made.
        task: The task file.
    """
    verdict = _scored(program, task)
    results.mkdir(parents=True, exist_ok=True)
    metrics = {
        SCORE: verdict.score,
        "public": _known(verdict),
        "private": {},
        "extra_data": {},
        "text_feedback": "\n\n".join(verdict.artifacts.values()),
    }
    write_whole(results / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    correct = {"correct": not verdict.failed, "error": verdict.artifacts.get("error", "")}
    write_whole(results / "correct.json", json.dumps(correct, indent=2) + "\n")


def _scored(program: Path, task: Path) -> Verdict:
    with Evaluator(read_task(task), kept_in=task.parent) as evaluator:
        return evaluator.score(program)


def _known(verdict: Verdict) -> dict[str, float]:
    """Metrics that could be measured; the tools take numbers only."""
    return {name: value for name, value in verdict.metrics.items() if value == value}
