"""Which fields of the view a policy heeds, found by asking it twice: with the field as it is, and with it made up.

The source of a rule would not say so, because rules of one family share code whose branches they never take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import types

from maestro_gym.core.compile import njit_as
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.moves import ask_rule
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import ENGINE, Engine, act, open_engine, run_until

ALL_TIERS = 0b111
DECISIONS = 400
"""The number of decisions of a simulated episode at which a policy is asked."""


@njit_as(types.boolean(ENGINE, types.int64))
def _act(engine: Engine, action: int) -> bool:
    return act(engine, 0, int(engine.state.visible.clock[0].tier), action)


def heeded_fields(policy: Policy, scenario: Scenario, names: Sequence[str], decisions: int = DECISIONS) -> list[str]:
    """Find out which of some fields the answers of a policy depend on.

    Args:
        policy: The policy that is asked; its reclaim rule is not.
        scenario: The scenario whose simulated episode gives the decisions.
        names: The fields of the view, each as ``record.field``.
        decisions: The number of decisions.

    Returns:
        The fields with which an answer changed.
    """
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 0, 0))
    engine = open_engine(simulation, policy)
    view = simulation.state.visible
    generator = np.random.default_rng(0)
    heeded: set[str] = set()
    for _ in range(decisions):
        if run_until(engine, 0, ALL_TIERS) == NO_TIER:
            break
        notes = [view.memory.copy(), view.model_memory.copy()]

        def ask(notes: list[np.ndarray] = notes) -> int:
            view.memory[:], view.model_memory[:] = notes
            return int(ask_rule(engine))

        answer = ask()
        for name in set(names) - heeded:
            record, _, field = name.partition(".")
            column = getattr(view, record)[field]
            kept = column.copy()
            column[:] = generator.permutation(column.ravel()).reshape(column.shape)
            column[:] += (generator.random(column.shape) * (1.0 + np.abs(kept).max())).astype(column.dtype)
            if ask() != answer:
                heeded.add(name)
            column[:] = kept
        _act(engine, ask())
    return [name for name in names if name in heeded]
