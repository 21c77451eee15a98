"""Workflows saved and given up, and the groups that they are counted in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.groups import named, periods, popularity_of, quarters
from maestro_gym.evaluation.explain.pairs import Pair, paired_episodes
from maestro_gym.evaluation.explain.workflows import EVERYTHING, workflow_fates
from maestro_gym.state import CLASS_NAMES


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("toy", ("horizon_s=120", "contention=high"))


@pytest.fixture(scope="module")
def pairs(scenario: Scenario) -> list[Pair]:
    """Of two episodes, one where the better policy decides, and one where it is the reference: some of every fate."""
    searched, maestro = load_policy("searched", scenario), load_policy("maestro", scenario)
    saves = paired_episodes(scenario, searched, maestro, "validation", [2])
    return saves + paired_episodes(scenario, maestro, searched, "validation", [0])


def test_pairs_come_in_the_order_of_the_seeds_and_hold_the_same_episodes(scenario: Scenario) -> None:
    fcfs, maestro = load_policy("fcfs", scenario), load_policy("maestro", scenario)
    pairs = paired_episodes(scenario, fcfs, maestro, "validation", [4, 2])
    assert [(pair.asked.result.seed, pair.reference.seed) for pair in pairs] == [(4, 4), (2, 2)]
    assert {(pair.asked.result.policy, pair.reference.policy) for pair in pairs} == {("fcfs", "maestro")}
    for pair in pairs:
        np.testing.assert_array_equal(pair.asked.result.episode.workflows, pair.reference.episode.workflows)


def test_fates_are_those_of_single_workflows(scenario: Scenario, pairs: list[Pair]) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        for mine, theirs, workflow in zip(
            pair.asked.result.workflows, pair.reference.workflows, pair.reference.episode.workflows, strict=True
        ):
            here, there = (float(row["finished_s"]) <= workflow["deadline_s"] for row in (mine, theirs))
            fate = {(True, False): "saved", (False, True): "given up", (True, True): "both"}.get((here, there), "late")
            for group in (EVERYTHING, CLASS_NAMES[workflow["cls"]], f"{workflow['num_stages']} calls"):
                counted[group, fate] += 1
    fates = {fate.group: fate for fate in workflow_fates(pairs, scenario.workload.application_names)}
    assert fates[EVERYTHING].saved > 0
    assert fates[EVERYTHING].given_up > 0
    for group in {group for group, _ in counted}:
        fate = fates[group]
        assert (fate.saved, fate.given_up, fate.in_time_in_both) == tuple(
            counted[group, word] for word in ("saved", "given up", "both")
        )
        assert fate.workflows == sum(count for (name, _), count in counted.items() if name == group)


def test_the_net_share_is_the_difference_in_slo_attainment(scenario: Scenario, pairs: list[Pair]) -> None:
    every = workflow_fates(pairs, scenario.workload.application_names)[0]
    differences = []
    for pair in pairs:
        deadline_s = pair.reference.episode.workflows["deadline_s"]
        mine, theirs = (
            (result.workflows["finished_s"] <= deadline_s).mean() for result in (pair.asked.result, pair.reference)
        )
        differences.append(mine - theirs)
    assert every.net_share.estimate == pytest.approx(np.mean(differences))


def test_every_grouping_counts_every_workflow_once(scenario: Scenario, pairs: list[Pair]) -> None:
    every, *groups = workflow_fates(pairs, scenario.workload.application_names)
    for by in {fate.by for fate in groups}:
        own = [fate for fate in groups if fate.by == by]
        assert sum(fate.workflows for fate in own) == every.workflows, by
        assert sum(fate.saved for fate in own) == every.saved, by


def test_quarters_keep_equal_values_together_and_leave_out_what_is_unknown() -> None:
    grouping = quarters("calls", "calls", np.array([2.0, 2.0, 2.0, 3.0, 4.0, 8.0, np.inf]))
    assert grouping.names == ("2 calls", "3 calls", "4 to 8 calls")
    np.testing.assert_array_equal(grouping.places, [0, 0, 0, 1, 2, 2, -1])
    assert quarters("slack", "s", np.array([np.inf])).names == ()


def test_models_are_popular_up_to_half_of_the_calls_and_rare_beyond_nine_tenths() -> None:
    np.testing.assert_array_equal(popularity_of(np.array([0.04, 0.3, 0.26, 0.35, 0.05])), [2, 0, 1, 0, 2])


def test_periods_are_whole_minutes_and_no_more_than_a_dozen() -> None:
    grouping = periods(np.array([0.0, 59.0, 61.0, 89.0]), 90.0)
    assert grouping.names == ("minute 0 to 1", "minute 1 to 2")
    np.testing.assert_array_equal(grouping.places, [0, 0, 1, 1])
    long = periods(np.array([0.0, 1500.0]), 1500.0)
    assert long.names[:2] == ("minute 0 to 3", "minute 3 to 6")
    np.testing.assert_array_equal(long.places, [0, 8])


def test_groups_without_a_member_are_left_out() -> None:
    grouping = named("class", ("a", "b", "c"), np.array([2, -1, 0]))
    assert grouping.names == ("a", "c")
    np.testing.assert_array_equal(grouping.places, [1, -1, 0])
