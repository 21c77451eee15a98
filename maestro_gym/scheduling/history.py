"""What a workflow has behind it: sums over its finished calls. All of it is class N.

The stages of a workflow have contiguous ids, some of them blank until they are ready; so its calls are found around any
of them.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import stages_done, workflow_of
from maestro_gym.state import View


@njit
def first_call(view: View, e: int, stage: int) -> int:
    """The least id of a call of the same workflow that is known, that is ready or was."""
    workflow, first, row = workflow_of(view, e, stage), stage, stage - 1
    while row >= 0:
        owner = workflow_of(view, e, row)
        if owner == workflow:
            first = row
        elif owner >= 0:
            break
        row -= 1
    return first


@njit
def is_finished(view: View, e: int, stage: int, workflow: int) -> bool:
    """Whether a stage is a finished call of a workflow."""
    return workflow_of(view, e, stage) == workflow and float(view.stages[e, stage].finished_s) < math.inf


@njit
def kv_token_time(prompt_tokens: float, output_tokens: float) -> float:
    """KV that a call holds, summed over the steps of its answer: p * d + d**2 / 2 (Justitia) [tokens * steps]."""
    return prompt_tokens * output_tokens + 0.5 * output_tokens * output_tokens


@njit
def spent_kv_token_time(view: View, e: int, stage: int) -> float:
    """`kv_token_time` of the finished calls of a stage's workflow [tokens * steps]."""
    workflow, left, row = workflow_of(view, e, stage), stages_done(view, e, stage), first_call(view, e, stage)
    total = 0.0
    while left > 0 and row < view.stages.shape[1]:
        if is_finished(view, e, row, workflow):
            record = view.stages[e, row]
            total += kv_token_time(float(record.prompt_tokens), float(record.generated_tokens))
            left -= 1
        row += 1
    return total


@njit
def completed_path_s(view: View, e: int, stage: int) -> float:
    """Service time along the longest completed path of a stage's workflow [s].

    Who waits for whom is not in the view, the depth of a call is: of every depth the longest call counts. On a chain,
    and where calls of one depth wait for all of the depth before, that is the longest path; else it is no shorter.
    """
    workflow, done, first = workflow_of(view, e, stage), stages_done(view, e, stage), first_call(view, e, stage)
    total_s, depth, open_calls = 0.0, 0, done
    while open_calls > 0 and depth < view.stages.shape[1]:
        longest_s, left, row = 0.0, done, first
        while left > 0 and row < view.stages.shape[1]:
            if is_finished(view, e, row, workflow):
                record = view.stages[e, row]
                if int(record.depth) == depth:
                    longest_s = max(longest_s, float(record.finished_s) - float(record.admitted_s))
                    open_calls -= 1
                left -= 1
            row += 1
        total_s += longest_s
        depth += 1
    return total_s
