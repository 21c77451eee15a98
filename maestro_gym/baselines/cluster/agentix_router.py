"""Agentix' router (V-2nd): long calls to the engine of their program, short ones where there is least to do.

    prompt > long_call_tokens: where the workflow's last stage ran; else the fewest stages

Source: Agentix / Autellix, arXiv 2502.13965 (NSDI 2026): a long call gains by the KV of its program, a short one by
balance. Class N. Adapted: the cut-off of 2,048 tokens is a third party's and a number here; the engine must still have
the model warm. Its orders PLAS and ATLAS are the global tier's.
"""

from __future__ import annotations

from maestro_gym.baselines.cluster.session_affinity import cost as at_home
from maestro_gym.baselines.cluster.warm_jsq import cost as balanced
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import number, prompt_tokens
from maestro_gym.state import View

NUMBERS = (
    Number("long_call_tokens", "tokens", 0, 16_384, 2048, "A call with a longer prompt goes to its program's engine."),
)
(LONG_CALL_TOKENS,) = places(NUMBERS)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Session affinity for a long call, stages at the node for a short one; cold nodes last."""
    if prompt_tokens(view, e, stage) > number(view, e, LONG_CALL_TOKENS):
        return at_home(view, e, stage, node)
    return balanced(view, e, stage, node)


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="agentix-router",
    information="N",
    description="long calls to the engine of their program, short calls to the fewest stages",
    source="Agentix router, arXiv 2502.13965 (V-2nd)",
    choice="the cut-off, 2048 tokens (I), is a number",
)
