"""How fast a node serves a model by its profile: the step of the performance model, read from the view."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.episodes.scenario import Scenario
from maestro_gym.performance.step_tables import StepTables, step_time_s
from maestro_gym.scheduling.node_speed import decode_step_s, prefill_s
from maestro_gym.sim.batch import Simulation
from maestro_gym.state import View


@pytest.fixture(scope="module")
def view() -> View:
    return Simulation(Scenario.load("quick", ("fleet=mixed_gpus",)).world, evaluation=True).state.visible


def _tables(view: View, node: int, model: int) -> StepTables:
    world = view.world
    at = int(world.nodes[node]["hardware"]), int(world.models[model]["arch"])
    return StepTables(world.perf[at], world.step_s[at], world.sample_s[at], world.decode[at])


def _a_node_of_each_kind(view: View) -> list[int]:
    return [int(node) for node in np.unique(view.world.nodes["hardware"], return_index=True)[1]]


def test_a_decode_step_is_that_of_the_performance_model(view: View) -> None:
    nodes = _a_node_of_each_kind(view)
    assert len(nodes) > 1
    for node in nodes:
        expected = step_time_s(_tables(view, node, 0), [], [500, 700, 900])
        assert decode_step_s(view, node, 0, 3, 2100.0) == pytest.approx(expected, rel=1e-12)


def test_a_prefill_in_chunks_takes_the_steps_of_its_chunks(view: View) -> None:
    budget = view.world.step_s.shape[2] - 1
    for node in _a_node_of_each_kind(view):
        tables = _tables(view, node, 0)
        expected = step_time_s(tables, [(budget, 0)], []) + step_time_s(tables, [(100, budget)], [], 1)
        assert prefill_s(view, node, 0, budget + 100.0) == pytest.approx(expected, rel=1e-12)
        assert prefill_s(view, node, 0, 800.0) == pytest.approx(step_time_s(tables, [(800, 0)], [], 1), rel=1e-12)


def test_a_faster_gpu_is_faster(view: View) -> None:
    steps = [decode_step_s(view, node, 0, 16, 16_000.0) for node in _a_node_of_each_kind(view)]
    assert max(steps) > 1.2 * min(steps)
