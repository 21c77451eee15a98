"""The compiled step: action in; next decision, observation, mask and reward counters out.

The engine is compiled into `step_one` alone. The batch kernels reach it through a function pointer,
so the serial and the parallel one are the same code, cost a second to compile, and agree to the bit.
"""

from __future__ import annotations

import numpy as np
from numba import prange, types

from maestro_gym.core.compile import njit, njit_as
from maestro_gym.envs.batch.buffers import BEGIN, DESK, RUNNER, Desk, Runner
from maestro_gym.envs.observation.observe import observe
from maestro_gym.scheduling.tiers import NO_TIER
from maestro_gym.sim.engine import act, advance
from maestro_gym.state import DONE_NO, DONE_TIME, State

PARALLEL_FROM = 32
"""Environments from which the parallel kernel pays (below, its threads cost more than they do)."""


@njit
def _count(state: State, e: int, counted: np.ndarray, deltas: np.ndarray) -> None:
    """Increase of the reward counters since the last call; order of `desk.REWARD_COUNTERS`."""
    counters = state.core.counters[e]
    for i in range(deltas.shape[1]):
        deltas[e, i] = -counted[e, i]
    counted[e, 0] = counters.weighted_residence
    counted[e, 1] = counters.slo_met_weight
    counted[e, 2] = counters.slo_missed_weight
    counted[e, 3] = counters.ttft_met_weight
    counted[e, 4] = counters.ttft_missed_weight
    counted[e, 5] = counters.stages_finished
    counted[e, 6] = counters.cold_starts
    counted[e, 7] = counters.wakes
    counted[e, 8] = counters.preemptions
    counted[e, 9] = counters.boundary_preemptions
    counted[e, 10] = counters.oom_events
    counted[e, 11] = counters.invalid_actions
    for i in range(deltas.shape[1]):
        deltas[e, i] += counted[e, i]


@njit
def lowest_legal(mask: np.ndarray) -> int:
    """The first legal action."""
    for action in range(mask.shape[0]):
        if mask[action]:
            return action
    return 0


@njit
def choose(desk: Desk, e: int) -> int:
    """The engine's code of the agent's answer, an illegal one replaced; `BEGIN` when an episode begins.

    Args:
        desk: its ``buffers.actions[e]`` holds the answer to the decision that was shown last.
        e: environment.
    """
    buffers = desk.buffers
    outcome = buffers.outcome[e]
    action = int(buffers.actions[e])
    outcome.invalid = 0
    if action == BEGIN:
        for i in range(buffers.counted.shape[1]):
            buffers.counted[e, i] = 0.0
        return BEGIN
    if action < 0 or action >= buffers.mask.shape[1] or not buffers.mask[e, action]:
        outcome.invalid = 1
        desk.engine.state.core.counters[e].invalid_actions += 1
        action = lowest_legal(buffers.mask[e])
    return int(buffers.codes[e, action])


@njit
def show(desk: Desk, e: int, tier: int) -> int:
    """Write what the agent sees of a decision, and what came of its last answer.

    Args:
        desk: its ``buffers.actions[e]`` still holds that answer.
        e: environment.
        tier: that must decide, NO_TIER at the end.

    Returns:
        Why the episode is over (DONE_*), DONE_NO while it is not.
    """
    state, layout, buffers = desk.engine.state, desk.layout, desk.buffers
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
    outcome.done = done
    outcome.arrived = int(state.core.counters[e].arrived)
    outcome.finished = int(state.core.counters[e].finished)
    if not begins:
        _count(state, e, buffers.counted, buffers.deltas)
    parity = int(buffers.parity[0])
    observe(
        state.visible,
        desk.nothing,
        e,
        tier,
        int(outcome.arrived) - int(outcome.finished),
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


@njit_as(types.int64(DESK, types.int64))
def step_one(desk: Desk, e: int) -> int:
    """Step one environment of a desk: do its action, go to the agent's next decision, write what is seen.

    Args:
        desk: its ``buffers.actions[e]`` holds the answer.
        e: environment.

    Returns:
        Why the episode is over (DONE_*), DONE_NO while it is not.
    """
    outcome = desk.buffers.outcome[e]
    code = choose(desk, e)
    if code != BEGIN and not act(desk.engine, e, int(outcome.tier), code):
        outcome.invalid = 1
    return show(desk, e, advance(desk.engine, e, int(desk.layout[0].tiers)))


@njit_as(types.int64(RUNNER, types.int64))
def choose_alone(runner: Runner, e: int) -> int:
    """See `choose`: for an agent whose decisions are carried out elsewhere, on real servers."""
    return choose(runner.desk, e)


@njit_as(types.int64(RUNNER, types.int64, types.int64))
def show_alone(runner: Runner, e: int, tier: int) -> int:
    """See `show`: for an agent whose decisions come from elsewhere."""
    return show(runner.desk, e, tier)


@njit_as(types.void(RUNNER))
def step_serial(runner: Runner) -> None:
    """Step every environment, one after the other."""
    for e in range(runner.num_envs):
        runner.step(runner.desk, e)


@njit_as(types.void(RUNNER), parallel=True)
def step_parallel(runner: Runner) -> None:
    """Step every environment, over numba's threads; the same bits as `step_serial`."""
    step, desk = runner.step, runner.desk
    for e in prange(runner.num_envs):
        step(desk, np.int64(e))  # pyright: ignore[reportArgumentType]


@njit_as(types.int64(RUNNER, types.int64))
def step_alone(runner: Runner, e: int) -> int:
    """Step one environment: the way to begin an episode in a batch that has others under way."""
    return runner.step(runner.desk, e)
