"""Program search: programs are scored, what is wrong with them is said, edits stay programs, and a search goes on."""

from __future__ import annotations

import ast
import json
import random
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.baselines.registry import load_policy
from maestro_gym.cli.app import app
from maestro_gym.config.program_search import ProgramTask
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.program_search.adapters import for_openevolve
from maestro_gym.evaluation.program_search.candidate_process import Trial, run_trial
from maestro_gym.evaluation.program_search.evaluate import Evaluator, refused
from maestro_gym.evaluation.program_search.export import PROGRAM_FILE, export_task, read_task
from maestro_gym.evaluation.program_search.loop import ARCHIVE_FILE, FOUND_FILE, run_loop
from maestro_gym.evaluation.program_search.mutate import MOST_NODES, expression, mutated

SHORT = ["contention=high", "horizon_s=20", "drain_s=60"]
TASK = ProgramTask(scenario="toy", overrides=SHORT, horizon_s=None, seeds=[0], validation_seeds=[0, 1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an export."""
    folder = tmp_path_factory.mktemp("search") / "task"
    export_task(TASK, folder)
    return folder


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(TASK) as opened:
        yield opened


def _changed(exported: Path, folder: Path, returned: str) -> Path:
    """The first program with another last line."""
    text = (exported / PROGRAM_FILE).read_text(encoding="utf-8")
    path = folder / "changed.py"
    path.write_text(text.replace("return left_s", f"return {returned}"), encoding="utf-8")
    return path


def test_the_first_order_is_edf_and_is_scored_as_that(exported: Path, evaluator: Evaluator) -> None:
    verdict = evaluator.score(exported / PROGRAM_FILE)
    scenario = Scenario.load("toy", SHORT)
    rows = {
        name: result_row(run_episode(scenario, load_policy(name), "train", 0, samples=0))
        for name in ("edf+maestro", "maestro")
    }
    edf, maestro = (rows[name] for name in ("edf+maestro", "maestro"))
    assert verdict.metrics["slo_attainment"] == edf["slo_attainment"]
    faster = 1.0 - float(edf["completion_mean_s"]) / float(maestro["completion_mean_s"])
    assert verdict.score == pytest.approx(float(edf["slo_attainment"]) + 0.15 * faster)
    assert "slo_attainment_interactive" in verdict.artifacts["beside_the_reference"]
    assert "weakest episode" in verdict.artifacts["what_to_look_at"]


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("left_s +", "no Python"),
        ("nobody_s", "nobody_s"),
        ("float(oracle.truth[e, stage].remaining_s)", "true future"),
    ],
)
def test_what_is_wrong_with_a_program_is_said(
    exported: Path, evaluator: Evaluator, tmp_path: Path, returned: str, says: str
) -> None:
    verdict = evaluator.score(_changed(exported, tmp_path, returned))
    assert verdict.failed
    assert verdict.score == 0.0
    assert says in verdict.artifacts["error"]


def test_a_program_that_takes_too_long_is_ended_and_the_next_is_scored(exported: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text((exported / PROGRAM_FILE).read_text("utf-8") + "\nimport time\ntime.sleep(10**6)\n", "utf-8")
    with Evaluator(TASK) as opened:
        assert not opened.score(exported / PROGRAM_FILE).failed  # the reference is known from now on
        opened._process._limit_s = 2.0
        verdict = opened.score(slow)
        assert (verdict.failed, verdict.artifacts["failure_stage"]) == (True, "time")
        opened._process._limit_s = TASK.limit_s
        assert not opened.score(exported / PROGRAM_FILE).failed


def test_an_unexpected_exception_of_a_program_is_a_failure_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("RULE = 1 / 0\n", encoding="utf-8")
    ran = run_trial(Trial(f"{bad}:RULE+maestro", "toy", tuple(SHORT), "train", (0,)))
    assert ran.stage == "load"
    assert "ZeroDivisionError" in ran.error


@pytest.mark.parametrize("rule", ["order", "route"])
def test_edits_stay_programs_of_one_return_and_differ(tmp_path: Path, rule: str) -> None:
    export_task(TASK.model_copy(update={"rule": rule}), tmp_path / "task")
    text = (tmp_path / "task" / PROGRAM_FILE).read_text(encoding="utf-8")
    before, generator = expression(text), random.Random(0)
    for _ in range(200):
        text = mutated(text, generator)
        after = expression(text)
        assert after != before
        assert not refused(text)
        assert sum(isinstance(node, ast.expr) for node in ast.walk(ast.parse(after, mode="eval"))) <= MOST_NODES
        before = after


def test_the_first_route_and_an_edited_one_run(tmp_path: Path) -> None:
    export_task(TASK.model_copy(update={"rule": "route"}), tmp_path / "task")
    first = tmp_path / "task" / PROGRAM_FILE
    edited = tmp_path / "edited.py"
    edited.write_text(mutated(first.read_text("utf-8"), random.Random(3)), "utf-8")
    for program in (first, edited):
        assert not run_trial(Trial(f"{program}:RULE+maestro", "toy", tuple(SHORT), "train", (0,))).error


def test_a_search_that_was_stopped_goes_on_to_the_same_end(exported: Path, tmp_path: Path) -> None:
    whole = run_loop(exported, programs=4, out=tmp_path / "whole")
    run_loop(exported, programs=2, out=tmp_path / "parted")
    path = tmp_path / "parted" / ARCHIVE_FILE
    path.write_text(path.read_text("utf-8") + '{"number": 2, "par', "utf-8")  # a line that a kill has cut
    parted = run_loop(exported, programs=4, out=tmp_path / "parted", resume=True)
    assert whole.rows == parted.rows
    assert (tmp_path / "whole" / ARCHIVE_FILE).read_text() == (tmp_path / "parted" / ARCHIVE_FILE).read_text()
    archive = [json.loads(line) for line in (tmp_path / "whole" / ARCHIVE_FILE).read_text().splitlines()]
    assert len({each["expression"] for each in archive}) == 4
    best = max(whole.rows, key=lambda row: row["validation"])
    found = (tmp_path / "whole" / FOUND_FILE).read_text("utf-8")
    assert expression(found) == best["expression"] == whole.rows[0]["expression"]
    assert load_policy(whole.policy, Scenario.load("toy", SHORT)).information == "P"


def test_openevolve_gets_numbers_and_shinkaevolve_its_two_files(exported: Path, tmp_path: Path) -> None:
    evaluate: Any = runpy.run_path(str(exported / "evaluator.py"))["evaluate"]
    numbers = evaluate(str(exported / PROGRAM_FILE))
    numbers = getattr(numbers, "metrics", numbers)
    assert (
        numbers["combined_score"] == for_openevolve(exported / PROGRAM_FILE, exported / "task.yaml")["combined_score"]
    )
    assert all(isinstance(value, float) for value in numbers.values())
    broken = _changed(exported, tmp_path, "left_s +")
    words = [sys.executable, "evaluate.py", "--program_path", str(broken), "--results_dir", str(tmp_path / "results")]
    subprocess.run(words, cwd=exported, check=True, timeout=600)
    assert json.loads((tmp_path / "results/correct.json").read_text())["correct"] is False
    metrics = json.loads((tmp_path / "results/metrics.json").read_text())
    assert metrics["combined_score"] == 0.0
    assert "no Python" in metrics["text_feedback"]


def test_the_files_of_an_export_agree_with_each_other(exported: Path) -> None:
    assert read_task(exported) == TASK
    assert (exported / "initial.py").read_text() == (exported / PROGRAM_FILE).read_text()
    config = yaml.safe_load((exported / "config.yaml").read_text("utf-8"))
    assert config["evaluator"]["timeout"] > TASK.limit_s
    assert "maestro-gym==" in (exported / "Containerfile").read_text("utf-8")
    with pytest.raises(MaestroError, match="--overwrite"):
        export_task(TASK, exported)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export", "FOLDER", "--rule", "reclaim"], "order"),
        (["export", "FOLDER", "seed=[1]"], "seeds"),
        (["score", "FOLDER/none.py", "--task", "FOLDER"], "there is no task"),
        (["run", "FOLDER"], "there is no task"),
        (["run", "FOLDER", "--resume"], "--out"),
    ],
)
def test_a_mistake_ends_in_one_paragraph(tmp_path: Path, words: list[str], says: str) -> None:
    given = [word.replace("FOLDER", str(tmp_path / "empty")) for word in words]
    result = CliRunner().invoke(app, ["evolve", *given])
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.output.split())
