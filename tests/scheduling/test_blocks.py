"""What lets an order pass over blocks of ready stages: its slope holds, and it decides as by a walk along them all."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.baselines.registry import ORDERS
from maestro_gym.baselines.shaped.numbers import FAMILY
from maestro_gym.core.boxed import box
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.blocks import MEMBERS
from maestro_gym.scheduling.numbers import Family
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import ALL_TIERS, NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import Episode
from maestro_gym.state.types import HIDDEN, VIEW
from tests.sim.test_index import check_index
from tests.sim.test_invariants import digest

PACED = [name for name, order in ORDERS.items() if order.slope is not None]


@cache
def _crowd() -> tuple[Scenario, Episode]:
    """Many more calls than eight nodes can serve, some of them side by side in a workflow."""
    overrides = ["contention=overload", "workload.load=6", "workload.family=maestro", "horizon_s=40", "drain_s=40"]
    scenario = Scenario.load("quick", overrides)
    return scenario, scenario.episode("validation", 5, 0)


def _loaded(policy: Policy) -> tuple[Simulation, Any]:
    scenario, episode = _crowd()
    simulation = Simulation(scenario.world, evaluation=True)
    open_engine(simulation, policy)  # which gives the numbers of its policy to the episodes that come
    simulation.load(0, episode, key=5)
    return simulation, open_engine(simulation, policy)


def _played(policy: Policy, *, plain: bool) -> Simulation:
    simulation, engine = _loaded(policy)
    simulation.state.visible.clock["indexed"] = 0 if plain else 1
    run_until(engine, 0, 0)
    return simulation


def _wild(seed: int) -> Policy:
    """A shaped policy with numbers from anywhere in their ranges."""
    generator = np.random.default_rng(seed)
    values = [number.low + generator.random() * (number.high - number.low) for number in FAMILY.numbers]
    return replace(load_policy("shaped", _crowd()[0]), numbers=FAMILY.in_view(values))


@pytest.mark.parametrize("name", [name for name in PACED if name != "shaped"])
def test_no_key_changes_by_less_than_the_slope_while_its_workflow_rests(name: str) -> None:
    policy, numbers = load_policy("maestro", _crowd()[0]), ORDERS[name].numbers
    given = Family(name, numbers)
    _assert_paced(name, replace(policy, numbers=given.in_view(given.defaults())) if numbers else policy)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_no_shaped_key_changes_by_less_than_its_slope(seed: int | None) -> None:
    _assert_paced("shaped", load_policy("searched", _crowd()[0]) if seed is None else _wild(seed))


def _assert_paced(name: str, policy: Policy) -> None:
    order = ORDERS[name]
    assert order.slope is not None
    simulation, engine = _loaded(policy)
    boxed = box(simulation.state.visible, VIEW), box(simulation.state.hidden, HIDDEN)
    seen: dict[int, tuple[int, int, float, float]] = {}
    pace = order.slope(boxed[0], 0)
    decisions, compared, tier = 0, 0, run_until(engine, 0, ALL_TIERS)
    while tier != NO_TIER and decisions < 8000:
        decisions += 1
        if decisions % 40 == 0:
            view = simulation.state.visible
            now_s = float(view.clock["now_s"][0])
            before, seen = seen, {}
            for stage in view.global_queue[0, : view.clock["global_len"][0]].tolist():
                done = int(view.workflows["stages_done"][0, view.stages["workflow"][0, stage]])
                band, key = order.band(boxed[0], 0, stage), order.key(*boxed, 0, stage)
                level = key - (pace * now_s if pace > -np.inf else 0.0)
                seen[stage] = done, band, level, order.until(boxed[0], 0, stage)
                if stage in before and pace > -np.inf:
                    done_before, band_before, level_before, until_s = before[stage]
                    if done == done_before and now_s <= until_s:
                        compared += 1
                        assert band >= band_before
                        assert band > band_before or level >= level_before - 1e-9 * (1.0 + abs(key) + abs(pace * now_s))
        tier = answer_and_run(engine, 0, OWN, ALL_TIERS, 0.0)
    assert compared > 1000 or pace == -np.inf


@pytest.mark.parametrize("name", ["maestro", "searched", "shaped", "edf+maestro", "las", "maestro-no-preemption"])
def test_a_queue_of_many_blocks_is_decided_as_by_a_walk_along_it(name: str) -> None:
    policy = load_policy(name, _crowd()[0])
    blocks, walk = (_played(policy, plain=plain) for plain in (False, True))
    assert digest(blocks) == digest(walk)
    assert blocks.state.visible.clock["blocks_used"][0] > 10
    assert blocks.state.visible.clock["joined"][0] > 10 * MEMBERS


@pytest.mark.parametrize("seed", range(6))
def test_numbers_from_anywhere_in_their_ranges_decide_as_by_a_walk(seed: int) -> None:
    policy = _wild(seed)
    assert digest(_played(policy, plain=False)) == digest(_played(policy, plain=True))


def test_blocks_hold_the_lists_of_their_models() -> None:
    simulation, engine = _loaded(load_policy("maestro", _crowd()[0]))
    view = simulation.state.visible
    decisions, tier = 0, run_until(engine, 0, ALL_TIERS)
    while tier != NO_TIER:
        decisions += 1
        if decisions % 997 == 0:
            check_index(simulation)
            _check_blocks(view)
        tier = answer_and_run(engine, 0, OWN, ALL_TIERS, 0.0)
    assert decisions > 5000


def _check_blocks(view: Any) -> None:  # noqa: ANN401 - a View
    in_use = set()
    for first in view.ready_first[0].tolist():
        stage, previous = first, -1
        while stage >= 0:
            number = int(view.ready_block[0, stage])
            block = view.blocks[0, number]
            assert block["previous"] == previous
            assert block["first"] == stage
            assert 1 <= block["members"] <= MEMBERS
            for _ in range(block["members"]):
                assert view.ready_block[0, stage] == number
                stage = int(view.ready_next[0, stage])
            in_use.add(number)
            previous = number
            assert stage == (view.blocks[0, block["next"]]["first"] if block["next"] >= 0 else -1)
    free, number = set(), int(view.clock["blocks_free"][0])
    while number >= 0:
        free.add(number)
        number = int(view.blocks[0, number]["next"])
    assert not in_use & free
    assert in_use | free == set(range(view.clock["blocks_used"][0]))
