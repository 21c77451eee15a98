"""The columns of nodes that share calls, and of the call that is shared (docs/disaggregation.md)."""

from __future__ import annotations

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_flag, of_latency, of_tokens
from maestro_gym.scheduling.load_times import carry_s
from maestro_gym.scheduling.view import hands_over, is_handed_over, takes_calls
from maestro_gym.state import View

DUTY = Block("duty", __name__)


@DUTY.column("duty_prefill", "flag", "the node only prefills")
def _prefill(view: View, e: int, node: int, stage: int) -> float:
    return of_flag(hands_over(view, node))


@DUTY.column("duty_decode", "flag", "the node only goes on with what others prefilled")
def _decode(view: View, e: int, node: int, stage: int) -> float:
    return of_flag(not takes_calls(view, node))


@DUTY.column("duty_carry", "latency", "of the stage's KV on its way to the node, 0 before it is prefilled")
def _carry(view: View, e: int, node: int, stage: int) -> float:
    return of_latency(carry_s(view, e, stage, node)) if is_handed_over(view, e, stage) else 0.0


write_duty = DUTY.writer()

HANDOVER = Block("handover", __name__)


@HANDOVER.column("handover_due", "flag", "the stage is prefilled, and a node that goes on is chosen")
def _due(view: View, e: int, stage: int) -> float:
    return of_flag(is_handed_over(view, e, stage))


@HANDOVER.column("handover_kv", "tokens", "of KV that it brings")
def _kv(view: View, e: int, stage: int) -> float:
    return of_tokens(float(view.stages[e, stage].kv_tokens))


write_handover = HANDOVER.writer()
