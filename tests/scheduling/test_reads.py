"""Which tiers' rules look at metric fields, by their code."""

from __future__ import annotations

import numpy as np
import pytest

import maestro_gym.scheduling.load_signals as signals
from maestro_gym.baselines.registry import load_policy, policy_names, with_rule
from maestro_gym.core.compile import compile_fresh
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Rule, RuleFunction
from maestro_gym.scheduling.reads import metric_tiers
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import Hidden, View
from tests.sim.test_invariants import digest


def by_module(view: View, oracle: Hidden, e: int) -> int:
    """Reads through a module."""
    return 0 if signals.kv_used_share(view, e, 0) > 0.5 else -1


def by_name(view: View, oracle: Hidden, e: int) -> int:
    """Reads a field by its name."""
    return 0 if view.engines[e, 0, 0]["kv_used_bytes"] > 0.5 else -1


def by_nothing(view: View, oracle: Hidden, e: int) -> int:
    """Reads what is booked."""
    return 0 if view.nodes[e, 0].kv_reserved_bytes > 0.5 else -1


@pytest.mark.parametrize(("policy", "tiers"), [("maestro", 0b000), ("searched", 0b000), ("least-kv", 0b011)])
def test_a_policy_looks_at_metrics_where_its_rules_do(policy: str, tiers: int) -> None:
    assert metric_tiers(load_policy(policy)) == tiers


@pytest.mark.parametrize(("function", "tiers"), [(by_module, 0b010), (by_name, 0b010), (by_nothing, 0b000)])
def test_a_rule_of_the_user_is_followed_to_what_it_calls(function: RuleFunction, tiers: int) -> None:
    rule = Rule("mine", "cluster", "N", "", "", "", compile_fresh(function))
    assert metric_tiers(with_rule(load_policy("fcfs"), rule, "mine", "")) == tiers


@pytest.mark.parametrize("policy", sorted({"dynamo", "least-kv", "llm-d", "llumnix", "maestro"} & set(policy_names())))
def test_nobody_misses_the_metrics_that_are_not_brought_up_to_now(policy: str) -> None:
    scenario = Scenario.load("toy", ["workload.load=2.0", "horizon_s=60", "drain_s=60"])
    episode, rules, digests = scenario.episode("test", 4, 0), load_policy(policy, scenario), []
    for tiers in (0b111, metric_tiers(rules)):
        simulation = Simulation(scenario.world, evaluation=True, metric_tiers=tiers)
        simulation.load(0, episode, key=4)
        run_until(open_engine(simulation, rules), 0, 0)
        # What was scraped last may be older, and nobody looked.
        simulation.state.visible.nodes["kv_used_bytes"] = simulation.state.visible.engines["kv_used_bytes"] = np.nan
        digests.append(digest(simulation))
    assert digests[0] == digests[1]
