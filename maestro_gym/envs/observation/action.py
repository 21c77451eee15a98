"""The columns of an admission, promotion or demotion: what it does to the node's memory, and who wants its model."""

from __future__ import annotations

from typing import NamedTuple

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.node import pool_bytes
from maestro_gym.envs.observation.scales import of_flag, of_share, of_time
from maestro_gym.scheduling.view import model_of, queued_stage
from maestro_gym.state import RESERVE_ADAPTIVE, RESERVE_MAX, RESERVE_PROMPT, RESERVE_Q90, View

ACTION = Block("action", __name__)

NO_LEVEL = -1
"""The reservation level of an action that reserves nothing."""


class Need(NamedTuple):
    """What an action takes of its node's memory.

    Attributes:
        level: How an admission reserves (RESERVE_*), `NO_LEVEL` for other actions.
        size_bytes: What it takes, 0 where that rests on a prediction that the agent does not have.
        reclaims: Whether others must give way for it; False where ``size_bytes`` is not known.
    """

    level: int
    size_bytes: float
    reclaims: bool


@ACTION.column("action_adaptive", "flag", "reserves (L_in + L_hat)(1 + rho)")
def _adaptive(view: View, e: int, node: int, model: int, need: Need) -> float:
    return of_flag(need.level == RESERVE_ADAPTIVE)


@ACTION.column("action_q90", "flag", "reserves prompt and predicted 90th percentile")
def _q90(view: View, e: int, node: int, model: int, need: Need) -> float:
    return of_flag(need.level == RESERVE_Q90)


@ACTION.column("action_max", "flag", "reserves prompt and output limit")
def _max(view: View, e: int, node: int, model: int, need: Need) -> float:
    return of_flag(need.level == RESERVE_MAX)


@ACTION.column("action_prompt", "flag", "reserves the prompt and one token")
def _prompt(view: View, e: int, node: int, model: int, need: Need) -> float:
    return of_flag(need.level == RESERVE_PROMPT)


@ACTION.column("action_bytes", "share", "of usable HBM that it takes")
def _bytes(view: View, e: int, node: int, model: int, need: Need) -> float:
    return of_share(need.size_bytes, pool_bytes(view, node))


@ACTION.column("action_reclaims", "flag", "others must give way for it")
def _reclaims(view: View, e: int, node: int, model: int, need: Need) -> float:
    return of_flag(need.reclaims)


@ACTION.column("action_idle", "time", "since the model was last used")
def _idle(view: View, e: int, node: int, model: int, need: Need) -> float:
    slot = int(view.slot_of[e, node, model])
    last_used_s = float(view.host_models[e, int(view.world.nodes[node].host), model].last_used_s)
    if slot >= 0:
        last_used_s = float(view.engines[e, node, slot].last_used_s)
    return of_time(float(view.clock[e].now_s) - last_used_s)


@ACTION.column("action_oldest", "time", "longest wait in the queue for the model")
def _oldest(view: View, e: int, node: int, model: int, need: Need) -> float:
    now_s, oldest_s = float(view.clock[e].now_s), 0.0
    for q in range(int(view.nodes[e, node].queue_len)):
        stage = queued_stage(view, e, node, q)
        if model_of(view, e, stage) == model:
            oldest_s = max(oldest_s, now_s - float(view.stages[e, stage].ready_s))
    return of_time(oldest_s)


write_action = ACTION.writer()
