"""Metrics and comparisons of simulated episodes: two independent books of one run must agree."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.row import metric_columns, result_row
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.compare import compare, run_compare
from maestro_gym.state import INTERACTIVE

SHORT = ("contention=low", "horizon_s=40", "drain_s=120")


@pytest.fixture(scope="module")
def measured() -> EpisodeResult:
    scenario = Scenario.load("quick", SHORT)
    return run_episode(scenario, load_policy("maestro", scenario), seed=1)


def test_deadlines_met_agree_with_the_counters_of_the_run(measured: EpisodeResult) -> None:
    weight = measured.episode.workflows["weight"]
    met = outcome_of(measured).deadline_met
    assert weight[met].sum() == pytest.approx(measured.counters["slo_met_weight"])


def test_first_tokens_in_time_agree_with_the_counters_of_the_run(measured: EpisodeResult) -> None:
    outcome = outcome_of(measured)
    weight = measured.episode.workflows["weight"][measured.episode.stages["workflow"]]
    asked = outcome.ready & (outcome.stage_cls == INTERACTIVE)
    met = outcome.first_token_s[asked] - outcome.ready_s[asked] <= outcome.ttft_limit_s[asked]
    assert weight[asked][met].sum() == pytest.approx(measured.counters["ttft_met_weight"])


def test_weighted_residence_is_the_weighted_sum_of_completion_times(measured: EpisodeResult) -> None:
    workflows = measured.episode.workflows
    residence_s = np.minimum(measured.workflows["finished_s"], measured.end_s) - workflows["arrival_s"]
    assert (workflows["weight"] * residence_s).sum() == pytest.approx(measured.counters["weighted_residence"])


def test_every_metric_of_a_simulated_run_is_a_number_and_shares_are_shares(measured: EpisodeResult) -> None:
    row = result_row(measured)
    # Where tools are without bounds nothing is said of their places, and without pools no call is handed over.
    unsaid = ("tool_", "handoff_", "transfer_mean_s")
    assert {column for column in metric_columns() if not np.isfinite(row[column])} == {
        column for column in metric_columns() if column.startswith(unsaid)
    }
    for share in ("slo_attainment", "ttft_attainment", "hbm_utilisation", "prefix_hit_rate", "tenant_fairness"):
        assert 0.0 <= row[share] <= 1.0


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    asked = {"overrides": SHORT, "seeds": [0, 1]}
    together = compare(["quick"], ["fcfs", "maestro"], jobs=1, **asked)
    apart = compare(["quick"], ["fcfs", "maestro"], jobs=2, **asked)
    pd.testing.assert_frame_equal(together.rows.drop(columns="wall_s"), apart.rows.drop(columns="wall_s"))


def test_a_comparison_of_simulated_runs_ends_with_a_report(tmp_path: Path) -> None:
    words = Console(file=io.StringIO(), width=160)
    run_compare("quick", ["fcfs", "maestro"], seeds=[0], overrides=SHORT, out=tmp_path, jobs=1, console=words)
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert (tmp_path / "plots" / "quick-gantt-maestro.png").exists()
