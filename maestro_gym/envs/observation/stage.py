"""Features of a stage, the same wherever a stage is shown: in a row or in the context."""

from __future__ import annotations

import numpy as np

from maestro_gym.baselines.orders.maestro import AGING_PER_S, is_protected
from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.scales import of_count, of_share, of_signed_time, of_time, of_tokens
from maestro_gym.scheduling.estimates import stage_service_s
from maestro_gym.state import INTERACTIVE, View


@njit
def write_stage(view: View, e: int, stage: int, row: np.ndarray, at: int, predictions: bool) -> None:
    """Write the STAGE block.

    Args:
        view: what a scheduler sees.
        e: environment.
        stage: a stage that is ready or further.
        row: float32, shape (columns,).
        at: first column of the block.
        predictions: whether predicted columns are written; they stay as they are otherwise.
    """
    record = view.stages[e, stage]
    workflow = view.workflows[e, int(record.workflow)]
    now_s = float(view.clock[e].now_s)
    wait_s = now_s - float(record.ready_s)
    prompt = float(record.prompt_tokens)
    weight = float(workflow.weight)
    row[at] = 1.0 if int(record.cls) == INTERACTIVE else 0.0
    row[at + 1] = of_tokens(prompt)
    row[at + 2] = of_tokens(float(record.max_output_tokens))
    row[at + 3] = of_time(wait_s)
    row[at + 4] = of_signed_time(float(workflow.deadline_s) - now_s)
    row[at + 5] = of_signed_time(float(workflow.ttft_limit_s) - wait_s)
    row[at + 6] = weight / (1.0 + weight)
    row[at + 7] = of_count(float(record.invocation_index))
    row[at + 8] = of_count(float(record.depth))
    row[at + 9] = of_count(float(workflow.stages_done))
    row[at + 10] = of_time(float(workflow.attained_s))
    row[at + 11] = 1.0 if int(record.tools_available) > 0 else 0.0
    row[at + 12] = of_share(float(record.sys_prefix_tokens), prompt)
    row[at + 13] = of_share(float(record.ctx_prefix_tokens), prompt)
    row[at + 14] = of_share(float(view.world.models[int(record.model)].popularity), 1.0)
    row[at + 15] = of_count(float(record.preemptions))
    row[at + 16] = 1.0 if is_protected(view, e, stage) else 0.0
    if predictions:
        remaining_s = float(record.remaining_s_q50)
        row[at + 17] = of_tokens(float(record.output_q50_tokens))
        row[at + 18] = of_tokens(float(record.output_q90_tokens))
        row[at + 19] = of_time(stage_service_s(view, e, stage))
        row[at + 20] = of_time(remaining_s)
        row[at + 21] = of_time(float(record.remaining_s_q90))
        row[at + 22] = of_count(float(record.remaining_calls))
        row[at + 23] = of_share(float(record.tool_probability), 1.0)
        row[at + 24] = of_signed_time(remaining_s - AGING_PER_S * wait_s)
