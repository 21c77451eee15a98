"""Runs of one training, taken together."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.comparison_files import document
from maestro_gym.evaluation.report.episode_trace import workflow_table
from maestro_gym.evaluation.report.figures import draw_all
from maestro_gym.evaluation.report.verdicts import verdicts
from maestro_gym.evaluation.training_runs import performance_profile, probability_of_improvement, training_of
from tests.evaluation.by_hand import make_result


def test_the_profile_is_the_share_of_scores_above_each_threshold() -> None:
    scores = np.array([[0.1, 0.6], [0.3, 0.8]])
    profile = performance_profile(scores, np.array([0.0, 0.1, 0.5, 0.9]))
    assert profile.share.tolist() == [1.0, 0.75, 0.5, 0.0]
    assert (profile.low <= profile.share).all()
    assert (profile.high >= profile.share).all()


def test_a_profile_resamples_runs_within_a_task() -> None:
    # Runs that agree on every task leave nothing to chance, however far the tasks are apart.
    profile = performance_profile(np.tile([0.0, 1.0], (4, 1)), np.array([0.5]))
    assert profile.low[0] == profile.high[0] == 0.5


def test_the_probability_of_improvement_is_mann_whitneys_and_a_tie_counts_half() -> None:
    interval = probability_of_improvement(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    assert interval.estimate == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert interval.low <= interval.estimate <= interval.high


def test_lower_is_better_where_it_is_said_so() -> None:
    fast, slow = np.array([[1.0], [2.0]]), np.array([[5.0], [6.0]])
    assert probability_of_improvement(fast, slow, better="lower").estimate == 1.0
    assert probability_of_improvement(fast, slow, better="higher").estimate == 0.0


def test_a_tasks_scale_does_not_weigh() -> None:
    one, other = np.array([[1.0, 1000.0], [2.0, 2000.0]]), np.array([[0.0, 5000.0], [0.0, 6000.0]])
    assert probability_of_improvement(one, other).estimate == 0.5


def _card(folder: Path, seed: int, **changes: object) -> str:
    folder.mkdir()
    card = {"tier": "cluster", "network": "scorer", "scenario": "quick", "seed": seed, "steps": 100 * seed}
    (folder / "policy.json").write_text(json.dumps(card | changes), encoding="utf-8")
    return str(folder)


def test_trainings_that_differ_by_their_seed_alone_are_one(tmp_path: Path) -> None:
    first, second = _card(tmp_path / "a", 0), _card(tmp_path / "b", 1)
    other = _card(tmp_path / "c", 2, tier="global")
    assert training_of(first) == training_of(second) != training_of(other)
    assert training_of("maestro") is None


@pytest.fixture
def comparison() -> Comparison:
    """Two runs of one training, one of them late, beside fcfs; of one seed each the deadline of another is missed."""
    late_s = {"fcfs": (0.0, 0.0, 2.0), "seed0": (0.5, 0.0, 0.0), "seed1": (2.0, 0.0, 0.0)}
    results = [
        make_result(name, seed, delay_s=delay) for name, delays in late_s.items() for seed, delay in enumerate(delays)
    ]
    rules = ("a", "b", "c", "r")
    return Comparison(
        rows=pd.DataFrame([result_row(result) for result in results]),
        workflows=pd.concat([workflow_table(result) for result in results]),
        traces=[],
        settings=[Setting("tiny", "high", 1.1, 2.2, "")],
        policies=[PolicyLabel("fcfs", rules, "N", False)]
        + [PolicyLabel(f"seed{seed}", rules, "P", True, training="same") for seed in (0, 1)],
        reference="fcfs",
        seeds=[0, 1, 2],
        split="test",
    )


def test_a_comparison_tells_of_a_training_with_several_seeds(comparison: Comparison, tmp_path: Path) -> None:
    (slo, completion) = document(comparison)["trainings"]
    assert slo["policies"] == ["seed0", "seed1"]
    # seed0 has 1/3 on all seeds; seed1 and fcfs miss the first workflow once
    assert slo["iqm"]["estimate"] == pytest.approx((1 / 3 + 2 / 9) / 2)
    assert slo["probability_of_improvement"]["estimate"] == pytest.approx((1 + 0.5) / 2)
    assert completion["metric"] == "completion_mean_s"
    assert any("are 2 seeds of one training" in line for line in verdicts(comparison))
    titles = [plot.title for plot in draw_all(comparison, tmp_path)]
    assert "Seeds of one training: performance profiles" in titles


def test_a_comparison_warns_where_its_seeds_cannot_tell(comparison: Comparison) -> None:
    rows = {(row["policy"], row["metric"]): row for row in document(comparison)["power"]}
    row = rows["seed0", "slo_attainment"]  # differences 0, 0, 1/3: better on one seed of three, else equal
    assert row["probability_better"] == pytest.approx(2 / 3)
    assert row["seeds_needed"] > 3
    assert row["smallest_difference"] > row["difference_that_matters"] == 0.02
    (line,) = [line for line in verdicts(comparison) if "points of SLO attainment from none" in line]
    assert "3 seeds are too few" in line
    assert "seed0" in line


def test_a_comparison_of_policies_that_are_alike_warns_of_nothing(comparison: Comparison) -> None:
    comparison.rows["slo_attainment"] = 1 / 3
    again = Comparison(**{name: getattr(comparison, name) for name in Comparison.__dataclass_fields__})
    assert not [line for line in verdicts(again) if "points of SLO attainment from none" in line]
