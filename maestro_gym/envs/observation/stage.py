"""The columns of a stage, the same wherever a stage is shown: in a row or in the context."""

from __future__ import annotations

from maestro_gym.baselines.orders.maestro import AGING_PER_S, is_protected
from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_count, of_flag, of_share, of_signed_time, of_time, of_tokens
from maestro_gym.scheduling.estimates import stage_service_s
from maestro_gym.state import INTERACTIVE, View

STAGE = Block("stage", __name__)
"""Its columns take a stage that is ready or further."""


@njit
def _wait_s(view: View, e: int, stage: int) -> float:
    """Seconds since the stage became ready."""
    return float(view.clock[e].now_s) - float(view.stages[e, stage].ready_s)


@STAGE.column("stage_interactive", "flag", "of an interactive workflow")
def _interactive(view: View, e: int, stage: int) -> float:
    return of_flag(int(view.stages[e, stage].cls) == INTERACTIVE)


@STAGE.column("stage_prompt", "tokens", "prompt length")
def _prompt(view: View, e: int, stage: int) -> float:
    return of_tokens(float(view.stages[e, stage].prompt_tokens))


@STAGE.column("stage_max_output", "tokens", "the client's output limit")
def _max_output(view: View, e: int, stage: int) -> float:
    return of_tokens(float(view.stages[e, stage].max_output_tokens))


@STAGE.column("stage_wait", "time", "since the stage became ready")
def _wait(view: View, e: int, stage: int) -> float:
    return of_time(_wait_s(view, e, stage))


@STAGE.column("stage_slack", "signed time", "left to the workflow's deadline", low=-1.0)
def _slack(view: View, e: int, stage: int) -> float:
    workflow = view.workflows[e, int(view.stages[e, stage].workflow)]
    return of_signed_time(float(workflow.deadline_s) - float(view.clock[e].now_s))


@STAGE.column("stage_ttft_slack", "signed time", "left to the TTFT limit", low=-1.0)
def _ttft_slack(view: View, e: int, stage: int) -> float:
    workflow = view.workflows[e, int(view.stages[e, stage].workflow)]
    return of_signed_time(float(workflow.ttft_limit_s) - _wait_s(view, e, stage))


@STAGE.column("stage_weight", "w / (1 + w)", "the workflow's weight in the reward")
def _weight(view: View, e: int, stage: int) -> float:
    weight = float(view.workflows[e, int(view.stages[e, stage].workflow)].weight)
    return weight / (1.0 + weight)


@STAGE.column("stage_invocation", "count", "earlier calls of the role in the workflow")
def _invocation(view: View, e: int, stage: int) -> float:
    return of_count(float(view.stages[e, stage].invocation_index))


@STAGE.column("stage_depth", "count", "longest path from a root of the workflow")
def _depth(view: View, e: int, stage: int) -> float:
    return of_count(float(view.stages[e, stage].depth))


@STAGE.column("stage_done", "count", "stages of the workflow that have finished")
def _done(view: View, e: int, stage: int) -> float:
    return of_count(float(view.workflows[e, int(view.stages[e, stage].workflow)].stages_done))


@STAGE.column("stage_attained", "time", "service the workflow has received")
def _attained(view: View, e: int, stage: int) -> float:
    return of_time(float(view.workflows[e, int(view.stages[e, stage].workflow)].attained_s))


@STAGE.column("stage_tools", "flag", "tools are available to it")
def _tools(view: View, e: int, stage: int) -> float:
    return of_flag(int(view.stages[e, stage].tools_available) > 0)


@STAGE.column("stage_system_share", "share", "of the prompt that is the role's system prompt")
def _system_share(view: View, e: int, stage: int) -> float:
    record = view.stages[e, stage]
    return of_share(float(record.sys_prefix_tokens), float(record.prompt_tokens))


@STAGE.column("stage_context_share", "share", "of the prompt that continues the workflow's context")
def _context_share(view: View, e: int, stage: int) -> float:
    record = view.stages[e, stage]
    return of_share(float(record.ctx_prefix_tokens), float(record.prompt_tokens))


@STAGE.column("stage_popularity", "share", "of stages that ask for its model")
def _popularity(view: View, e: int, stage: int) -> float:
    return of_share(float(view.world.models[int(view.stages[e, stage].model)].popularity), 1.0)


@STAGE.column("stage_pauses", "count", "times it was paused and must recompute")
def _pauses(view: View, e: int, stage: int) -> float:
    return of_count(float(view.stages[e, stage].preemptions))


@STAGE.column("stage_protected", "flag", "Maestro's cooldown keeps it from being passed over")
def _protected(view: View, e: int, stage: int) -> float:
    return of_flag(is_protected(view, e, stage))


@STAGE.column("stage_output_q50", "tokens", "predicted output, median", predicted=True)
def _output_q50(view: View, e: int, stage: int) -> float:
    return of_tokens(float(view.stages[e, stage].output_q50_tokens))


@STAGE.column("stage_output_q90", "tokens", "predicted output, 90th percentile", predicted=True)
def _output_q90(view: View, e: int, stage: int) -> float:
    return of_tokens(float(view.stages[e, stage].output_q90_tokens))


@STAGE.column("stage_service", "time", "nominal service time T_current", predicted=True)
def _service(view: View, e: int, stage: int) -> float:
    return of_time(stage_service_s(view, e, stage))


@STAGE.column("stage_remaining_q50", "time", "T_rem of the workflow, median", predicted=True)
def _remaining_q50(view: View, e: int, stage: int) -> float:
    return of_time(float(view.stages[e, stage].remaining_s_q50))


@STAGE.column("stage_remaining_q90", "time", "T_rem of the workflow, 90th percentile", predicted=True)
def _remaining_q90(view: View, e: int, stage: int) -> float:
    return of_time(float(view.stages[e, stage].remaining_s_q90))


@STAGE.column("stage_remaining_calls", "count", "stages that will follow", predicted=True)
def _remaining_calls(view: View, e: int, stage: int) -> float:
    return of_count(float(view.stages[e, stage].remaining_calls))


@STAGE.column("stage_tool_probability", "share", "probability that it calls a tool", predicted=True)
def _tool_probability(view: View, e: int, stage: int) -> float:
    return of_share(float(view.stages[e, stage].tool_probability), 1.0)


@STAGE.column("stage_maestro_key", "signed time", "Maestro's key: T_rem - wait", low=-1.0, predicted=True)
def _maestro_key(view: View, e: int, stage: int) -> float:
    return of_signed_time(float(view.stages[e, stage].remaining_s_q50) - AGING_PER_S * _wait_s(view, e, stage))


write_stage = STAGE.writer()
