"""The workloads and fleets of the sweeps differ from those of configs/ in one thing each."""

from pathlib import Path

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.reproduce.variants import (
    MODELS,
    clusters,
    interactive_share,
    popularity_skew,
    slo_tightness,
)
from maestro_gym.state import INTERACTIVE

RATE = "workload.rate_rps=5.0"


def _workflows(*overrides: str) -> np.ndarray:
    return Scenario.load("quick", [*overrides, RATE]).episode("test", 10, 0).workflows


def test_tightness_moves_deadlines_and_ttft_limits_and_nothing_else(tmp_path: Path) -> None:
    plain, tight = _workflows(), _workflows(slo_tightness(0.5, tmp_path))
    assert tight["arrival_s"] == pytest.approx(plain["arrival_s"])
    assert tight["ttft_limit_s"] == pytest.approx(0.5 * plain["ttft_limit_s"])
    assert tight["deadline_s"] - tight["arrival_s"] == pytest.approx(0.5 * (plain["deadline_s"] - plain["arrival_s"]))
    assert (tight["num_stages"] == plain["num_stages"]).all()


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_the_interactive_share_is_the_one_asked_for(tmp_path: Path, share: float) -> None:
    workflows = _workflows(interactive_share(share, tmp_path))
    assert (workflows["cls"] == INTERACTIVE).mean() == pytest.approx(share, abs=0.03)


def test_the_skew_is_the_ratio_of_the_first_two_ranks(tmp_path: Path) -> None:
    popularity = Scenario.load("quick", [popularity_skew(1.0, tmp_path)]).config.workload.popularity
    assert popularity is not None
    flat = Scenario.load("quick", [popularity_skew(0.0, tmp_path)])
    assert len(flat.model_names) == MODELS
    from maestro_gym.workloads.popularity import load_popularity

    first, second, *_ = load_popularity(popularity).shares
    assert first / second == pytest.approx(2.0)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_same_nodes_are_dealt_to_other_clusters(tmp_path: Path, count: int) -> None:
    scenario = Scenario.load("quick", [clusters(count, tmp_path)])
    assert len(scenario.cluster_names) == count
    assert len(scenario.node_names) == 8
    assert scenario.capacity_rps == pytest.approx(Scenario.load("quick").capacity_rps)


def test_nodes_that_cannot_be_dealt_evenly_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="divisor"):
        clusters(3, tmp_path)
