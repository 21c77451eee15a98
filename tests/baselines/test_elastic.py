"""Rules of elastic parallelism on instances whose best degree is plain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from maestro_gym.baselines.registry import TABLE, load_policy
from maestro_gym.baselines.shaped.numbers import DEGREE_GAIN
from maestro_gym.core.boxed import box
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.degrees import (
    OVERLOADED_S,
    largest_degree,
    next_degree,
    quickest_degree,
    response_s,
    smallest_degree,
)
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import NODE_READY, NODE_STARTING, Episode
from maestro_gym.state.types import VIEW
from tests.sim.conftest import Call, make_episode
from tests.sim.test_regrouping import ELASTIC

BOARD = ("limits.parallelism={degrees: [1, 2, 4], period_s: 10, switch_s: 1}",)


def degree_after(policy: str, episode: Episode, numbers: Sequence[tuple[int, float]] = ()) -> int:
    """GPUs of the nodes that are ready at the end of an episode on a board of four."""
    simulation = Simulation(Scenario.load("toy", (*ELASTIC, *BOARD)).world, evaluation=True)
    simulation.load(0, episode)
    engine = open_engine(simulation, load_policy(policy))
    for place, value in numbers:
        simulation.state.visible.numbers[0, place] = value
    run_until(engine, 0, 0)
    on = np.isin(simulation.state.visible.nodes[0]["node_state"], (NODE_READY, NODE_STARTING))
    return int(simulation.world.nodes["gpus"][on].max())


def stream(prompt: int, output: int, per_s: float, until_s: float = 39.0) -> Episode:
    """Calls of one kind, evenly."""
    return make_episode([(float(at_s), [Call(prompt, output)]) for at_s in np.arange(0.5, until_s, 1.0 / per_s)])


@pytest.mark.parametrize("around", ["", "+maestro"])
def test_long_prompts_get_all_gpus_and_short_ones_one_each(around: str) -> None:
    assert degree_after(f"long-prompts{around}", stream(6000, 20, 0.5)) == 4
    assert degree_after(f"long-prompts{around}", stream(300, 20, 0.5)) == 1


def test_the_quickest_degree_is_the_largest_under_little_load_and_the_smallest_under_much() -> None:
    def chosen(per_s: float) -> int:
        simulation = Simulation(Scenario.load("toy", ELASTIC).world, evaluation=True)
        simulation.load(0, stream(2000, 1, per_s))
        run_until(open_engine(simulation, load_policy("fcfs")), 0, 0)
        simulation.state.visible.clock[0]["now_s"] = 39.0
        return int(quickest_degree(box(simulation.state.visible, VIEW), 0, 0, 30.0, 0.1))

    assert [chosen(per_s) for per_s in (0.5, 38.0)] == [4, 1]
    assert degree_after("quickest-degree", stream(2000, 50, 0.5)) == 4


def test_a_static_degree_is_the_largest_within_its_number() -> None:
    family = TABLE["static-degree"].family
    assert family is not None
    quiet = stream(100, 5, 0.2)
    assert degree_after("static-degree", quiet) == 4
    assert degree_after("static-degree", quiet, [(family.first, 3.0)]) == 2
    assert degree_after("static-degree", quiet, [(family.first, 1.0)]) == 1


def test_the_shaped_family_changes_no_degree_unless_its_number_says_so() -> None:
    assert degree_after("shaped", stream(6000, 20, 0.5)) == 1
    assert degree_after("shaped", stream(6000, 20, 0.5), [(DEGREE_GAIN, 0.2)]) == 4


def test_response_times_follow_the_formula() -> None:
    simulation = Simulation(Scenario.load("toy", ELASTIC).world, evaluation=True)
    simulation.load(0, stream(2000, 1, 1.0))
    view = box(simulation.state.visible, VIEW)
    engine = open_engine(simulation, load_policy("long-prompts"))
    assert response_s(view, 0, 0, 30.0) == 0.0  # nobody has come
    assert (smallest_degree(view, 0), largest_degree(view, 0)) == (1, 4)
    assert [next_degree(view, 0, gpus) for gpus in (1, 2, 4)] == [4, 6, -1]
    run_until(engine, 0, 0b111)
    clock = simulation.state.visible.clock[0]
    clock["now_s"] = 1.0
    tables = simulation.world
    step_s = tables.step_s[0, 0, 2000] + tables.sample_s[0, 0, 1]
    perf = tables.perf[0, 0]
    step_s += perf["att_prefill_const_s"] + perf["att_prefill_s_per_pair"] * 0.5 * 2000**2
    found = response_s(view, 0, 0, 30.0)
    # One call in the first second: prefill, and a token of a full batch.
    assert step_s < found < OVERLOADED_S
    busy = (step_s / 1.0) / 4
    assert found == pytest.approx(step_s / (1 - busy), rel=0.1)
