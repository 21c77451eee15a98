"""The columns of what may become of a context while its tool runs, and of that context (docs/tools.md)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_count, of_flag, of_share, of_time, of_tokens
from maestro_gym.scheduling.actions import DROP, HOLD, LEAVE, OFFLOAD, held_s, hold_code
from maestro_gym.scheduling.sizes import kv_bytes
from maestro_gym.scheduling.tool_view import context_tokens, is_context_decision, num_tool_queued, tool_of_stage
from maestro_gym.scheduling.view import (
    model_of,
)
from maestro_gym.state import View

NUM_FATES = 7
"""Actions: left in the cache, dropped, offloaded, and held for four times."""

_FIRST_HOLD = 3


@njit
def fate_code(view: View, place: int) -> int:
    """Code of the action at a place: held for an eighth, a quarter, a half or all of what the scenario allows."""
    if place < _FIRST_HOLD:
        return (LEAVE, DROP, OFFLOAD)[place]
    return hold_code(float(view.world.params[0].context_hold_max_s) / 2.0 ** (NUM_FATES - 1 - place))


FATE = Block("fate", __name__)
"""Its columns take the code of the action."""


@FATE.column("fate_leave", "flag", "leaves the context in the cache, where others may displace it")
def _leave(view: View, e: int, code: int) -> float:
    return of_flag(code == LEAVE)


@FATE.column("fate_drop", "flag", "drops it")
def _drop(view: View, e: int, code: int) -> float:
    return of_flag(code == DROP)


@FATE.column("fate_offload", "flag", "sends it to the memory of the host")
def _offload(view: View, e: int, code: int) -> float:
    return of_flag(code == OFFLOAD)


@FATE.column("fate_hold", "time", "for which it is held")
def _hold(view: View, e: int, code: int) -> float:
    return of_time(held_s(code)) if code > HOLD else 0.0


write_fate = FATE.writer()

KEPT = Block("kept", __name__)
"""Its columns take the stage whose context it is."""


@KEPT.column("kept_due", "flag", "the decision is what becomes of a context")
def _due(view: View, e: int, stage: int) -> float:
    return of_flag(is_context_decision(view, e))


@KEPT.column("kept_tokens", "tokens", "of the context")
def _tokens(view: View, e: int, stage: int) -> float:
    return of_tokens(context_tokens(view, e, stage))


@KEPT.column("kept_bytes", "share", "of usable HBM that its KV takes")
def _bytes(view: View, e: int, stage: int) -> float:
    node, model = int(view.stages[e, stage].node), model_of(view, e, stage)
    need_bytes = context_tokens(view, e, stage) * kv_bytes(view, node, model)
    return of_share(need_bytes, float(view.world.nodes[node].hbm_pool_bytes))


@KEPT.column("kept_again", "time", "nominal, to prefill it again")
def _again(view: View, e: int, stage: int) -> float:
    per_token_s = float(view.world.service[model_of(view, e, stage)].prefill_s_per_token)
    return of_time(context_tokens(view, e, stage) * per_token_s)


@KEPT.column("kept_queue", "count", "calls that wait for its tool, 0 of a tool without bounds")
def _queue(view: View, e: int, stage: int) -> float:
    tool = tool_of_stage(view, e, stage)
    return of_count(float(num_tool_queued(view, e, tool))) if tool >= 0 else 0.0


write_kept = KEPT.writer()
