"""SCORPIO's TTFT guard (V-2nd): least deadline first, and what cannot meet its deadline behind all that can.

    deadline = ready + TTFT limit (interactive), the workflow's deadline (batch)
    unattainable: now + prefill > deadline

Source: SCORPIO, arXiv 2505.23022: the guard reorders the queue by deadline and rejects the unattainable. Class N: a
prefill is reckoned from the prompt at nominal speed. Adapted: nothing is rejected here, so the unattainable go last, as
in relegation; a batch stage, which has no TTFT limit, has its workflow's deadline. The TPOT guard (admission by virtual
batch size, credits for steps) is left out: workloads have no TPOT limits and no decision enters an engine's steps.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import service_time_s
from maestro_gym.scheduling.rules import order_by, serve_by
from maestro_gym.scheduling.view import class_of, model_of, now_s, prompt_tokens, ready_s, workflow_of
from maestro_gym.state import INTERACTIVE, RESERVE_PROMPT, Hidden, View


@njit
def deadline_s(view: View, e: int, stage: int) -> float:
    """When the first token of an interactive stage must be there, or the workflow of a batch stage be finished."""
    workflow = view.workflows[e, workflow_of(view, e, stage)]
    if class_of(view, e, stage) == INTERACTIVE:
        return ready_s(view, e, stage) + float(workflow.ttft_limit_s)
    return float(workflow.deadline_s)


@njit
def unattainable(view: View, e: int, stage: int) -> int:
    """1 where the deadline is missed even if the prefill begins now, else 0."""
    prefill_s = float(service_time_s(view, model_of(view, e, stage), prompt_tokens(view, e, stage), 0.0))
    return 1 if now_s(view, e) + prefill_s > deadline_s(view, e, stage) else 0


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Deadline [s]."""
    return deadline_s(view, e, stage)


_DESCRIPTION = "least TTFT deadline first among what fits, the unattainable last; reserves the prompt and one token"

RULE = serve_by(
    order_by(
        key, band=unattainable, name="scorpio", information="N", description=_DESCRIPTION, source="SCORPIO (V-2nd)"
    ),
    RESERVE_PROMPT,
    name="scorpio",
    information="N",
    description=_DESCRIPTION,
    source="SCORPIO TTFT guard (V-2nd)",
    choice="relegation in place of rejection; no TPOT guard",
)
