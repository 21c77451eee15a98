"""Random legal actions in every tier of random scenarios with random switches: nothing is lost, overdrawn or stuck.

``MAESTRO_FUZZ=10000 pytest tests/sim/test_random_walks.py`` walks through so many scenarios instead of a few; a seed
always names the same one, and so do the actions in it.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from functools import cache

import numpy as np
import pytest

from maestro_gym.core.boxed import box
from maestro_gym.envs.batch.buffers import Buffers, make_buffers, open_runner
from maestro_gym.envs.batch.kernel import show_alone, step_one
from maestro_gym.envs.observation.layout import Layout, make_layout, spec_for
from maestro_gym.scheduling.actions import HOLD
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CONTEXT
from maestro_gym.sim.batch import Simulation
from maestro_gym.state import DONE_BUDGET
from maestro_gym.state.types import VIEW
from tests.differential.cases import Case, make_case, random_features
from tests.differential.engine_run import begin, code_of, open_case, play
from tests.reference.choosing import Asked
from tests.sim.invariants import check_state
from tests.sim.test_index import check_index

SCENARIOS = int(os.environ.get("MAESTRO_FUZZ", "60"))
PARTS = 20
"""Tests among which the scenarios are dealt."""

LOOK_EVERY = 23
"""Decisions between two looks at the whole state."""


class Agent:
    """What an agent that drives all tiers is shown, with or without predictions."""

    def __init__(self, case: Case, engine: object, view: object, *, predictions: bool) -> None:
        """Lay the observation out so that every ready stage has a place in the window."""
        self.predictions = predictions
        self.layout: Layout = make_layout(
            spec_for("joint", case.world),
            case.world,
            case.features.queue_limit,
            window=max(3, len(case.episode.stages)),
            predictions=predictions,
            evaluation=case.features.drains,
        )
        self.buffers: Buffers = make_buffers(self.layout, 1)
        self.runner = open_runner(engine, self.layout, self.buffers, step_one)
        self.view = view
        columns = (self.layout.spec.row_columns, self.layout.spec.context_columns)
        self.low = [np.array([column.low for column in group], np.float32) for group in columns]

    def check(self, tier: int, asked: Asked) -> None:
        """Assert that its mask holds the legal actions, and that all numbers it is shown are inside their bounds."""
        show_alone(self.runner, 0, tier)
        for shown, low in zip((self.buffers.candidates[0, 0], self.buffers.context[0, 0]), self.low, strict=True):
            assert np.all(np.isfinite(shown)), asked
            assert np.all((shown >= low) & (shown <= 1.0)), asked
        mask = self.buffers.mask[0]
        assert mask.any(), asked
        offered = set(self.buffers.codes[0][mask].tolist())
        legal = {code_of(self.view, action) for action in asked.legal}
        if tier == TIER_CONTEXT:
            # A context is held for other times here than the walk draws.
            offered, legal = ({code for code in codes if code < HOLD} for codes in (offered, legal))
        assert offered <= legal, asked
        if self.predictions:
            assert legal <= offered, asked


@cache
def check_walk(seed: int) -> Counter[str]:
    """Walk through one scenario, look at it on the way and at its end; how often which action was legal."""
    case = make_case(random_features(seed))
    simulation, _ = begin(case)
    view, core = simulation.state.visible, simulation.state.core
    engine, boxed = open_case(case, simulation), box(view, VIEW)
    agents = [Agent(case, engine, boxed, predictions=predictions) for predictions in (True, False)]
    offered: Counter[str] = Counter()
    now_s, at_once = 0.0, 0
    counters = core.counters[0].copy()
    for tier, asked in play(case, simulation, engine, boxed):
        assert asked.legal, f"nothing is legal at decision {asked.number}"
        offered.update({f"{asked.tier} {kind}" for kind, _, _ in asked.legal})
        assert float(view.clock[0]["now_s"]) >= now_s
        at_once = at_once + 1 if float(view.clock[0]["now_s"]) == now_s else 0
        now_s = float(view.clock[0]["now_s"])
        # At one instant a stage moves at most thrice, a place changes a model's residency once, a node its state once.
        present = int((view.stages[0]["phase"] > 0).sum())
        assert at_once <= 3 * present + len(case.world.nodes) * (2 * len(case.world.models) + 1), asked
        agents[asked.number % 2].check(tier, asked)
        if asked.number % LOOK_EVERY == 0:
            _look(simulation)
            counters = _check_counters(simulation, counters)
    _look(simulation)
    _check_counters(simulation, counters)
    assert core.counters[0]["invalid_actions"] == 0
    assert core.env[0]["done"] != DONE_BUDGET
    assert view.clock[0]["tier"] == NO_TIER
    return offered


def _look(simulation: Simulation) -> None:
    check_state(simulation.state)
    check_index(simulation)


def _check_counters(simulation: Simulation, before: np.void) -> np.void:
    """Assert that what is counted and integrated never falls; the counters now."""
    now = simulation.state.core.counters[0].copy()
    for name in now.dtype.names or ():
        assert math.isfinite(now[name]), name
        assert now[name] >= before[name] or name == "weight_in_system", name
    return now


@pytest.mark.parametrize("part", range(PARTS))
def test_a_random_walk_loses_nothing_and_comes_to_an_end(part: int) -> None:
    for seed in range(part, SCENARIOS, PARTS):
        try:
            check_walk(seed)
        except Exception as error:
            raise AssertionError(f"scenario {seed}: {random_features(seed)}") from error


def test_the_walks_are_offered_every_kind_of_action() -> None:
    offered = sum((check_walk(seed) for seed in range(60)), Counter())
    kinds = {
        "global": ("wait", "send", "reject", "start", "stop"),
        "node": ("wait", "admit", "promote", "demote", "regroup"),
    }
    kinds |= {"cluster": ("route",), "tool": ("call",), "context": ("leave", "drop", "offload", "hold")}
    assert offered.keys() == {f"{tier} {kind}" for tier, names in kinds.items() for kind in names}
