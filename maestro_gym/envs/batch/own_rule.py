"""What the companions' own rule would answer in the agent's place: the teacher that imitation needs."""

from __future__ import annotations

import numpy as np
from numba import types

from maestro_gym.core.compile import njit_as
from maestro_gym.envs.batch.buffers import COMPILED_ENVS, RUNNER, CompiledEnvs, Runner
from maestro_gym.scheduling.tiers import NO_TIER
from maestro_gym.sim.engine import ask

NO_ANSWER = -1
"""The rule's choice is not among the agent's actions, or no decision is pending."""


@njit_as(types.int64(COMPILED_ENVS, types.int64))
def own_answer(envs: CompiledEnvs, e: int) -> int:
    """Ask the rule of the pending decision's tier in one environment; the simulation does not move.

    Args:
        envs: A batch at its agents' decisions.
        e: The environment.

    Returns:
        The action that does what the rule would do, or `NO_ANSWER`.
    """
    engine, buffers = envs.engine, envs.buffers
    tier = int(buffers.outcome[e].tier)
    if tier == NO_TIER:
        return NO_ANSWER
    code = ask(engine, e, tier)
    for action in range(buffers.mask.shape[1]):
        if buffers.mask[e, action] and buffers.codes[e, action] == code:
            return action
    return NO_ANSWER


@njit_as(types.void(RUNNER, types.int64[::1], types.int64, types.int64))
def own_answers(runner: Runner, answers: np.ndarray, begin: int, end: int) -> None:
    """Ask in environments ``begin`` to ``end - 1``; see `own_answer`."""
    for e in range(begin, end):
        answers[e] = own_answer(runner.envs, e)
