"""On a fleet of several kinds of GPU, and where models are restricted to some of it."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from tests.baselines.hand import Hand, ask

FAST_AND_SLOW = (
    "fleet.clusters=[{name: solo, hosts: [{count: 1, host: gpu2-512, nodes: 1, gpu: H100-80GB},"
    " {count: 2, host: gpu2-512, nodes: 1, gpu: A10G-24GB}]}]",
    "models=[{name: chat, architecture: Llama-3.1-8B}]",
    "workload.requests={prompt_tokens: 500, output_tokens: 200, deadline_s: 8}",
    "workload.load=0.6",
    "horizon_s=30",
    "drain_s=60",
)


def test_a_rule_that_ignores_kinds_loses_to_one_that_reads_estimates_of_each() -> None:
    """A request takes 8.2 s alone on an A10G and its deadline is 8 s; counting requests sends it there all the same."""
    scenario = Scenario.load("toy", FAST_AND_SLOW)
    blind, seeing = (
        result_row(run_episode(scenario, load_policy(name, scenario), "test", 10)) for name in ("jsq", "least-latency")
    )
    assert blind["slo_attainment"] < 0.85
    assert seeing["slo_attainment"] > 0.99
    assert seeing["completion_mean_s"] < 0.7 * blind["completion_mean_s"]
    assert seeing["cost_per_1k_in_time_usd"] < 0.85 * blind["cost_per_1k_in_time_usd"]


@pytest.mark.parametrize("policy", ["maestro", "jsq", "power-of-two", "no-colocation", "searched", "random+maestro"])
def test_a_model_runs_where_it_may_be_and_nowhere_else(policy: str) -> None:
    """Toy's second node is for the medium model alone, its first for the two others."""
    nodes = [f"{{name: {name}, hosts: [{{host: gpu2-512, nodes: 1, gpu: A100-80GB}}]}}" for name in ("left", "right")]
    places = [f"models.{m}.placement.clusters=[{name}]" for m, name in enumerate(("left", "right", "left"))]
    scenario = Scenario.load(
        "toy", [f"fleet.clusters=[{', '.join(nodes)}]", *places, "workload.load=0.3", "horizon_s=60", "drain_s=600"]
    )
    result = run_episode(scenario, load_policy(policy, scenario), "test", 4)
    stages = result.stages[result.stages["node"] >= 0]
    assert np.array_equal(stages["node"], np.where(stages["model"] == 1, 1, 0))
    # Two models that take turns on one node, a cold start each time, do not end in time.
    assert result.counters["finished"] == result.counters["arrived"] or policy == "no-colocation"
    assert set(stages["model"].tolist()) == {0, 1, 2}
    assert set(zip(result.residency_log["node"].tolist(), result.residency_log["model"].tolist(), strict=True)) <= {
        (0, 0),
        (1, 1),
        (0, 2),
    }


def test_a_router_passes_over_an_empty_node_that_is_barred() -> None:
    for barred, expected in ((0, 0), (1, 1)):
        hand = Hand()
        hand.engine(1, 0, running=2)
        hand.world.barred[0, 0] = hand.world.models[0].barred_nodes = barred
        hand.route(hand.stage())
        assert ask(load_policy("jsq").cluster_rule, hand) == expected


def test_the_home_of_a_model_whose_dealt_nodes_are_barred_is_wherever_it_may_be() -> None:
    hand = Hand(nodes_per_cluster=3)
    hand.world.barred[0, 0] = 1  # dealt to the most popular model
    hand.world.models[0].barred_nodes = 1
    hand.route(hand.stage())
    assert ask(load_policy("no-colocation").cluster_rule, hand) in (1, 2)
