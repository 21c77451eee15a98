"""Another policy is asked at every decision: that leaves no trace, and what is counted is what was answered."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.episodes.run import play
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.asking import DECISION, AskedEpisode, asked_episode, run_asked
from maestro_gym.evaluation.explain.decisions import decision_differences
from maestro_gym.evaluation.explain.kinds import (
    FIRST_CROWDED,
    FIRST_NODES,
    HOLDS,
    KINDS,
    OTHER_ADMISSION,
    OTHER_RESERVATION,
    OTHER_STAGE,
    REGROUPS,
    SAME,
)
from maestro_gym.scheduling.reads import metric_tiers
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NAMES, TIER_NODE
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_beside, open_engine
from maestro_gym.state import State
from maestro_gym.state.allocate import records
from maestro_gym.state.fields import arrays_of


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("toy", ("horizon_s=60", "contention=high"))


def _different(one: State, other: State) -> list[str]:
    """Arrays of the state in which two simulations differ in a single bit."""
    return [
        name
        for part, twin in zip(one, other, strict=True)
        for name in arrays_of(type(part))
        if getattr(part, name).tobytes() != getattr(twin, name).tobytes()
    ]


# Pairs whose rules would hear of each other if their notes lay in one place: round-robin counts in the policy's notes,
# Maestro's family marks models while it scans the queue, and both of it read numbers, of which the first has its own.
@pytest.mark.parametrize(
    ("policy", "reference"),
    [("searched", "shaped"), ("round-robin", "round-robin+maestro"), ("maestro", "searched"), ("random", "fcfs")],
)
def test_an_episode_at_whose_decisions_another_is_asked_is_the_same_bit_for_bit(
    scenario: Scenario, policy: str, reference: str
) -> None:
    deciding, asked = load_policy(policy, scenario), load_policy(reference, scenario)
    episode = scenario.episode("validation", 3, 0)
    alone = play(scenario.world, episode, deciding, key=5)
    simulation = Simulation(scenario.world, evaluation=True, metric_tiers=metric_tiers(deciding))
    simulation.load(0, episode, key=5)
    engine, other = open_engine(simulation, deciding), open_beside(simulation, asked)
    log = records((1 << 16,), DECISION)
    rows = run_asked(engine, other, log, 0)
    assert rows == int(alone.state.visible.clock["decisions"][0])
    assert (log["kind"][:rows] != SAME).any()
    assert _different(alone.state, simulation.state) == []


@pytest.mark.parametrize("name", ["searched", "maestro", "round-robin", "random"])
def test_a_policy_asked_at_its_own_decisions_answers_the_same(scenario: Scenario, name: str) -> None:
    policy = load_policy(name, scenario)
    decisions = asked_episode(scenario, policy, policy, "validation", 0).decisions
    assert len(decisions) > 1000
    assert (decisions["kind"] == SAME).all()


def test_who_is_asked_reads_its_own_numbers(scenario: Scenario) -> None:
    # The family with its defaults decides as Maestro does, also where the policy that decides has other numbers.
    searched = load_policy("searched", scenario)
    maestro, shaped = (
        asked_episode(scenario, searched, load_policy(name, scenario), "validation", 0).decisions
        for name in ("maestro", "shaped")
    )
    assert (maestro["kind"] != SAME).any()
    np.testing.assert_array_equal(maestro, shaped)


def test_policies_that_share_the_rules_of_a_tier_differ_at_the_others_only(scenario: Scenario) -> None:
    maestro = load_policy("maestro", scenario)
    decisions = asked_episode(scenario, load_policy("maestro-max-reservation", scenario), maestro, "validation", 0)[1]
    differs = decisions[decisions["kind"] != SAME]
    assert set(differs["tier"]) == {TIER_NODE}
    assert OTHER_RESERVATION in differs["kind"]


def test_a_long_episode_is_logged_in_several_parts_as_in_one(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched, maestro = load_policy("searched", scenario), load_policy("maestro", scenario)
    whole = asked_episode(scenario, searched, maestro, "validation", 1).decisions
    monkeypatch.setattr("maestro_gym.evaluation.explain.asking._LOG_ROWS", 100)
    parts = asked_episode(scenario, searched, maestro, "validation", 1).decisions
    np.testing.assert_array_equal(parts, whole)


def test_every_kind_has_words_of_its_own_at_the_tier_of_its_number() -> None:
    assert KINDS[SAME] is None
    kinds = [kind for kind in KINDS if kind is not None]
    assert len({kind.words for kind in kinds}) == len(kinds) == REGROUPS
    tiers = {HOLDS: TIER_GLOBAL, FIRST_NODES: TIER_CLUSTER, FIRST_CROWDED: TIER_CLUSTER, OTHER_ADMISSION: TIER_NODE}
    assert {number: KINDS[number].tier for number in tiers} == tiers  # type: ignore[union-attr]
    assert KINDS[OTHER_RESERVATION].words == "admits the stage at another reservation"  # type: ignore[union-attr]


def _asked(rows: list[tuple]) -> AskedEpisode:
    """An episode of two workflows, interactive and batch, with two stages each; model 0 is popular, 1 is rare."""
    episode = SimpleNamespace(
        stages=np.array([(0,), (0,), (1,), (1,)], [("workflow", "i8")]),
        workflows=np.array([(0,), (1,)], [("cls", "i8")]),
    )
    world = SimpleNamespace(models=np.array([(0.95,), (0.05,)], [("popularity", "f8")]))
    result = SimpleNamespace(episode=episode, world=world)
    return AskedEpisode(result, np.array(rows, DECISION))  # type: ignore[arg-type]


def test_decisions_are_counted_by_tier_by_kind_and_by_place() -> None:
    # now_s, tier, kind, stage, other_stage, model, ready_per_node, stages_per_node
    first = _asked(
        [
            (1.0, TIER_GLOBAL, HOLDS, -1, 3, 1, 2.0, 5.0),
            (2.0, TIER_GLOBAL, HOLDS, -1, 3, 1, 2.0, 5.0),
            (3.0, TIER_GLOBAL, OTHER_STAGE, 0, 1, 0, 8.0, 5.0),
            (3.0, TIER_GLOBAL, SAME, 1, 1, 0, 8.0, 5.0),
            (3.0, TIER_CLUSTER, SAME, 1, 1, 0, 8.0, 5.0),
        ]
    )
    second = _asked(
        [
            (1.0, TIER_GLOBAL, OTHER_STAGE, 0, 2, 0, 2.0, 5.0),
            (2.0, TIER_GLOBAL, SAME, 2, 2, 0, 8.0, 5.0),
        ]
    )
    found = decision_differences([first, second], "maestro")
    assert [tier.tier for tier in found.tiers] == list(TIER_NAMES)
    assert found.tiers[0].decisions == 3.0
    assert found.tiers[0].differ.estimate == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.tiers[1].differ.estimate == 0.0
    assert found.tiers[2].decisions == 0.0
    assert np.isnan(found.tiers[2].differ.estimate)
    kinds = {kind.words: kind for kind in found.kinds}
    held, other = kinds["holds a stage that maestro would send"], kinds["sends another stage first"]
    assert held.share.estimate == pytest.approx((2 / 4 + 0) / 2)
    assert held.stages == 0.5  # one stage, asked about twice, in one of two episodes
    assert np.isnan(held.at_once)
    assert other.decisions == 1.0
    assert other.at_once == 0.5  # stage 1 goes at the same instant, stage 2 a second later
    places = {(place.tier, place.by, place.group): place.differ.estimate for place in found.places}
    assert places["global", "class", "interactive"] == pytest.approx((1 / 2 + 1) / 2)
    assert places["global", "class", "batch"] == pytest.approx((1 + 0) / 2)
    assert places["global", "model", "rare models"] == 1.0
    assert places["global", "backlog", "2 stages/node waiting globally"] == 1.0
