"""What the companions' own rule would answer in the agent's place: the teacher that imitation needs."""

from __future__ import annotations

import numpy as np
from numba import types

from maestro_gym.core.compile import njit_as
from maestro_gym.envs.batch.buffers import COMPILED_ENVS, RUNNER, CompiledEnvs, Runner
from maestro_gym.scheduling.actions import WAIT
from maestro_gym.scheduling.legal import may_regroup
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import ALL_TIERS, NO_TIER, TIER_CONTEXT, TIER_NODE, TIER_TOOL
from maestro_gym.sim.engine import ask, fallback_action

NO_ANSWER = -1
"""The rule's choice is not among the agent's actions, or no decision is pending."""


_DEGREES = 1 << 6
"""Behind the set of TIER_*: whether degrees are answered for."""


def answered_by(policy: Policy) -> int:
    """What a policy has rules for, as a set of TIER_*, and `_DEGREES`."""
    tools = 1 << TIER_TOOL if policy.global_rule.orders_tools else 0
    contexts = 1 << TIER_CONTEXT if policy.node_rule.decides_contexts else 0
    return ALL_TIERS | tools | contexts | (_DEGREES if policy.node_rule.chooses_degree else 0)


@njit_as(types.int64(COMPILED_ENVS, types.int64, types.int64))
def own_answer(envs: CompiledEnvs, e: int, answered: int) -> int:
    """Ask the rule of the pending decision's tier in one environment; the simulation does not move.

    Args:
        envs: A batch at its agents' decisions.
        e: The environment.
        answered: As of `answered_by`; of all else it is what happens where nobody is asked: the first call gets the
            tool, a context is left where it is, and so are the GPUs of a board.

    Returns:
        The action that does what the rule would do, or `NO_ANSWER`.
    """
    engine, buffers = envs.engine, envs.buffers
    tier = int(buffers.outcome[e].tier)
    if tier == NO_TIER:
        return NO_ANSWER
    if (answered >> tier) & 1 == 0:
        code = fallback_action(engine.state, e, tier)
    elif tier == TIER_NODE and may_regroup(engine.state.visible, e) and answered & _DEGREES == 0:
        code = WAIT
    else:
        code = ask(engine, e, tier)
    for action in range(buffers.mask.shape[1]):
        if buffers.mask[e, action] and buffers.codes[e, action] == code:
            return action
    return NO_ANSWER


@njit_as(types.void(RUNNER, types.int64[::1], types.int64, types.int64, types.int64))
def own_answers(runner: Runner, answers: np.ndarray, answered: int, begin: int, end: int) -> None:
    """Ask in environments ``begin`` to ``end - 1``; see `own_answer`."""
    for e in range(begin, end):
        answers[e] = own_answer(runner.envs, e, answered)
