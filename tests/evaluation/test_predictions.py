"""Quality of predictions: metrics against libraries and hand-made cases, and a study on a trace one can follow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, mean_absolute_error, mean_pinball_loss, r2_score, roc_auc_score
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.predictions.quality import PREDICTION_METRICS, Quality, quality_of
from maestro_gym.evaluation.predictions.rivals import RIVALS
from maestro_gym.evaluation.predictions.study import ablation_rows, difference_rows, make_trial, run_study
from maestro_gym.state import Episode

SMALL = ("predictor.kind=constant", "predictor.history=300")


@pytest.fixture(scope="module")
def quick() -> Scenario:
    return Scenario.load("quick", SMALL)


@pytest.fixture(scope="module")
def told() -> Episode:
    return Scenario.load("quick", ["horizon_s=120", "predictor.kind=noisy"]).episode("test", 0, 0)


@pytest.fixture(scope="module")
def quality(told: Episode) -> Quality:
    return quality_of(told, np.ones(len(told.stages), bool))


def test_values_are_those_of_scikit_learn(told: Episode, quality: Quality) -> None:
    guess, truth = told.predictions, told.hidden
    length, called = truth["output_tokens"], truth["tool_intent"]
    offered = told.stages["tools_available"] > 0
    expected = {
        "tool_auc": roc_auc_score(called, guess["tool_probability"]),
        "tool_auc_offered": roc_auc_score(called[offered], guess["tool_probability"][offered]),
        "tool_brier": brier_score_loss(called, guess["tool_probability"]),
        "mae_tokens": mean_absolute_error(length, guess["output_q50_tokens"]),
        "r2": r2_score(length, guess["output_q50_tokens"]),
        "pinball_q50_tokens": mean_pinball_loss(length, guess["output_q50_tokens"], alpha=0.5),
        "pinball_q90_tokens": mean_pinball_loss(length, guess["output_q90_tokens"], alpha=0.9),
        "under_q90": np.mean(length > guess["output_q90_tokens"]),
        "remaining_mae_s": mean_absolute_error(truth["remaining_s"], guess["remaining_s_q50"]),
    }
    for name, value in expected.items():
        assert quality.values[name] == pytest.approx(value, rel=1e-9), name


def test_calibration_error_weighs_the_bins_by_their_stages(told: Episode) -> None:
    made = told._replace(predictions=told.predictions.copy(), hidden=told.hidden.copy())
    half = len(made.hidden) // 2
    made.predictions["tool_probability"] = np.where(np.arange(len(made.hidden)) < half, 0.25, 0.85)
    made.hidden["tool_intent"] = (np.arange(len(made.hidden)) >= half).astype(int)  # 0 of the first, all of the second
    share = half / len(made.hidden)
    found = quality_of(made, np.ones(len(made.stages), bool)).values["tool_ece"]
    assert found == pytest.approx(share * 0.25 + (1 - share) * 0.15)


def test_intervals_hold_the_value_and_cover_what_they_say(told: Episode, quality: Quality) -> None:
    for name in PREDICTION_METRICS:
        interval = quality.interval(name)
        assert interval.low <= interval.estimate <= interval.high, name
    owner, error = told.stages["workflow"], np.abs(told.hidden["output_tokens"] - told.predictions["output_q50_tokens"])
    rng = np.random.default_rng(0)
    inside, tries = 0, 60
    for _ in range(tries):
        chosen = np.isin(owner, rng.choice(len(told.workflows), len(told.workflows) // 4, replace=False))
        interval = quality_of(told, chosen).interval("mae_tokens")
        inside += interval.low <= error.mean() <= interval.high
    assert inside >= 0.88 * tries


def test_a_predictor_does_not_differ_from_itself_and_pairing_narrows(told: Episode, quality: Quality) -> None:
    same = quality.difference(quality, "mae_tokens")
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    worse = told._replace(predictions=told.predictions.copy())
    worse.predictions["output_q50_tokens"] *= 1.05
    gap = quality_of(worse, np.ones(len(told.stages), bool)).difference(quality, "mae_tokens")
    own = quality.interval("mae_tokens")
    assert gap.high - gap.low < 0.5 * (own.high - own.low)


def test_what_is_not_predicted_is_not_measured(told: Episode) -> None:
    silent = told._replace(predictions=told.predictions.copy())
    silent.predictions["tool_probability"] = np.nan
    found = quality_of(silent, np.ones(len(told.stages), bool))
    assert np.isnan(found.values["tool_auc"])
    assert np.isfinite(found.values["mae_tokens"])


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty chains of three calls; a tool is called when the prompt is odd, and then the answer is short."""
    rng = np.random.default_rng(0)
    lines = ["workflow_id,call_id,parent_ids,arrival_s,application,role,model,prompt_tokens,output_tokens,"
             "max_output_tokens,tool_gap_s,class,deadline_s,ttft_limit_s,tool_intent,tools_available"]  # fmt: skip
    for w in range(60):
        for c in range(3):
            prompt = int(rng.integers(100, 2000))
            tool = int(prompt > 1000)
            output = int(rng.integers(10, 20)) if tool else int(rng.integers(400, 600))
            parent = c - 1 if c else ""
            lines.append(f"{w},{c},{parent},{w},app,agent-{c},m,{prompt},{output},1024,{tool},batch,600,60,{tool},1")
    path = tmp_path_factory.mktemp("trace") / "calls.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def overrides(trace: Path) -> list[str]:
    return [f"workload.trace={trace}", 'workload.model_map={"*": llama-8b-chat}']


def test_no_workflow_is_both_learned_from_and_tried(trace: Path) -> None:
    scenario = Scenario.load("quick", [*overrides(trace), *SMALL])
    for split, tried in (("workflow", 60), ("time", 12)):
        trial = make_trial(scenario, split)
        owner = trial.episode.stages["workflow"]
        assert len(set(owner[trial.tested])) == tried
        for fold in trial.folds:
            assert not set(fold.history.workflow) & set(owner[fold.tested])
        if split == "time":
            assert max(trial.folds[0].history.workflow) < min(owner[trial.tested])


@pytest.mark.slow
def test_what_a_rule_decides_is_learned_and_its_group_is_missed(trace: Path) -> None:
    trial = make_trial(Scenario.load("quick", [*overrides(trace), *SMALL]), "workflow")
    study = run_study(trial)
    assert tuple(study.rivals) == tuple(RIVALS)
    assert study.rivals["boosted"].values["tool_auc"] > 0.98
    assert study.rivals["boosted"].values["mae_tokens"] < 80
    missed = {row["without"]: row["mae_%"] for row in ablation_rows(study)}
    assert missed["prompt"].low > 50
    assert abs(missed["tools"].estimate) < 10
    against = {row["boosted against"]: row["mae_%"] for row in difference_rows(study)}
    assert against["role_median"].high < -50


def test_a_family_is_tried_on_fresh_workflows(quick: Scenario) -> None:
    trial = make_trial(quick, "workflow", 200)
    assert trial.tested.all()
    assert 100 < len(trial.episode.workflows) < 300
    with pytest.raises(MaestroError, match="drawn alike at all times"):
        make_trial(quick, "time")
    with pytest.raises(MaestroError, match="no such split"):
        make_trial(quick, "rows")


def test_predict_fit_says_what_was_learned_and_then_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path / "cache"))
    found = []
    for name in ("first", "second"):
        words = ["predict", "fit", "predictor.history=300", "--json", str(tmp_path / f"{name}.json")]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        found.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert [document["cached"] for document in found] == [False, True]
    assert Path(found[1]["path"]).is_file()
    assert found[0]["rows"] == found[1]["rows"]
    assert sum(row["calls"] for row in found[0]["rows"]) == found[0]["calls"]


def test_predict_evaluate_prints_and_writes_every_predictor(trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    words = ["predict", "evaluate", "--split", "time", "--no-ablation", *overrides(trace), "--json", str(path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    document = json.loads(path.read_text())
    for row in document["predictors"]:
        assert row["predictor"] in result.output
        assert set(PREDICTION_METRICS) < set(row)
    assert document["paper"]["mae_tokens"] == 165.43
    assert document["predictors"][0]["mae_tokens"]["low"] <= document["predictors"][0]["mae_tokens"]["value"]


def test_a_mistake_of_predict_costs_one_paragraph() -> None:
    result = CliRunner().invoke(app, ["predict", "evaluate", "--split", "time"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --split time: the workload maestro")
    assert "Traceback" not in result.output
