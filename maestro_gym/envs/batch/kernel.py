"""The compiled step: action in; next decision, observation, mask and reward counters out.

The engine is compiled into `step_one` alone. `step_range` reaches it through a function pointer.
"""

from __future__ import annotations

import numpy as np
from numba import literal_unroll, types

from maestro_gym.core.compile import njit, njit_as
from maestro_gym.envs.batch.buffers import BEGIN, COMPILED_ENVS, REWARD_COUNTERS, RUNNER, CompiledEnvs, Runner
from maestro_gym.envs.observation.observe import observe
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CONTEXT
from maestro_gym.sim.engine import act, advance
from maestro_gym.state import DONE_NO, DONE_TIME, State


@njit
def _count(state: State, e: int, counted: np.ndarray, deltas: np.ndarray) -> None:
    """Write the increase of the reward counters since the last call."""
    counters = state.core.counters[e]
    i = 0
    for name in literal_unroll(REWARD_COUNTERS):
        value = float(counters[name])
        deltas[e, i] = value - counted[e, i]
        counted[e, i] = value
        i += 1  # noqa: SIM113 - numba does not unroll an enumerate


@njit
def lowest_legal(mask: np.ndarray) -> int:
    """The first legal action."""
    for action in range(mask.shape[0]):
        if mask[action]:
            return action
    return 0


@njit
def choose(envs: CompiledEnvs, e: int) -> int:
    """The engine's code of the agent's answer, an illegal one replaced; `BEGIN` when an episode begins.

    Args:
        envs: Their ``buffers.actions[e]`` holds the answer to the decision that was shown last.
        e: The environment.
    """
    buffers = envs.buffers
    outcome = buffers.outcome[e]
    action = int(buffers.actions[e])
    outcome.invalid = 0
    if action == BEGIN:
        for i in range(buffers.counted.shape[1]):
            buffers.counted[e, i] = 0.0
        return BEGIN
    if action < 0 or action >= buffers.mask.shape[1] or not buffers.mask[e, action]:
        outcome.invalid = 1
        envs.engine.state.core.counters[e].invalid_actions += 1
        action = lowest_legal(buffers.mask[e])
    return int(buffers.codes[e, action])


@njit
def show(envs: CompiledEnvs, e: int, tier: int) -> int:
    """Write what the agent sees of a decision, and what came of its last answer.

    Args:
        envs: Their ``buffers.actions[e]`` still holds that answer.
        e: The environment.
        tier: TIER_* of the decision, NO_TIER at the end.

    Returns:
        Why the episode is over (DONE_*), DONE_NO while it is not.
    """
    state, layout, buffers = envs.engine.state, envs.layout, envs.buffers
    outcome = buffers.outcome[e]
    begins = buffers.actions[e] == BEGIN
    done = int(state.core.env[e].done)
    now_s = float(state.visible.clock[e].now_s)
    if done == DONE_NO and int(layout[0].evaluation) == 0 and now_s >= float(layout[0].horizon_s):
        done = DONE_TIME
    outcome.dt_s = 0.0 if begins else now_s - float(outcome.now_s)
    outcome.now_s = now_s
    outcome.tier = tier
    outcome.place = -1 if tier == NO_TIER else int(state.visible.clock[e].place)
    if tier == TIER_CONTEXT:
        outcome.place = int(state.visible.stages[e, outcome.place].node)
    outcome.done = done
    outcome.arrived = int(state.core.counters[e].arrived)
    outcome.finished = int(state.core.counters[e].finished)
    outcome.rejected = int(state.core.counters[e].rejected)
    if not begins:
        _count(state, e, buffers.counted, buffers.deltas)
    parity = int(buffers.parity[0])
    observe(
        state.visible,
        envs.nothing,
        e,
        tier,
        int(outcome.arrived) - int(outcome.finished) - int(outcome.rejected),
        layout,
        buffers.heads[e],
        buffers.bands[e],
        buffers.keys[e],
        buffers.window[e],
        buffers.candidates[parity, e],
        buffers.context[parity, e],
        buffers.mask[e],
        buffers.codes[e],
    )
    return done


@njit_as(types.int64(COMPILED_ENVS, types.int64))
def step_one(envs: CompiledEnvs, e: int) -> int:
    """Step one environment of a batch: do its action, go to the agent's next decision, write what is seen.

    Args:
        envs: Their ``buffers.actions[e]`` holds the answer.
        e: The environment.

    Returns:
        Why the episode is over (DONE_*), DONE_NO while it is not.
    """
    outcome = envs.buffers.outcome[e]
    code = choose(envs, e)
    if code != BEGIN and not act(envs.engine, e, int(outcome.tier), code):
        outcome.invalid = 1
    return show(envs, e, advance(envs.engine, e, int(envs.layout[0].tiers)))


@njit_as(types.int64(RUNNER, types.int64))
def choose_alone(runner: Runner, e: int) -> int:
    """See `choose`: for an agent whose decisions are carried out elsewhere, on real servers."""
    return choose(runner.envs, e)


@njit_as(types.int64(RUNNER, types.int64, types.int64))
def show_alone(runner: Runner, e: int, tier: int) -> int:
    """See `show`: for an agent whose decisions come from elsewhere."""
    return show(runner.envs, e, tier)


@njit_as(types.void(RUNNER, types.int64, types.int64))
def step_range(runner: Runner, begin: int, end: int) -> None:
    """Step environments ``begin`` to ``end - 1``, one after the other."""
    for e in range(begin, end):
        runner.step(runner.envs, e)


@njit_as(types.int64(RUNNER, types.int64))
def step_alone(runner: Runner, e: int) -> int:
    """Step one environment: the way to begin an episode in a batch that has others under way."""
    return runner.step(runner.envs, e)
