"""What tenants have been served, in weighted tokens, and what they are entitled to.

    service of a tenant = prompt_weight * prompt tokens + output_weight * output tokens, 1 and 2 (VTC, 2401.00588)

A prompt counts when its call is first admitted, an answer when it has arrived, as a scheduler outside the engines sees
it. Rules that keep accounts of tenants bring them up to date once a decision (`view.is_new_decision`).
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import num_tenants
from maestro_gym.state import View

PROMPT_WEIGHT: Final = 1.0
OUTPUT_WEIGHT: Final = 2.0


@njit
def served_tokens(view: View, e: int, tenant: int, prompt_weight: float, output_weight: float) -> float:
    """Service of a tenant so far [weighted tokens]."""
    record = view.tenants[e, tenant]
    return prompt_weight * float(record.prompt_tokens) + output_weight * float(record.output_tokens)


@njit
def running_output_tokens(view: View, e: int, tenant: int) -> float:
    """What the calls of a tenant that run will have generated, each the mean of its answers so far; 0 before one."""
    record = view.tenants[e, tenant]
    running, answered = float(record.admitted - record.answered), float(record.answered)
    return running * float(record.output_tokens) / answered if answered > 0.0 else 0.0


@njit
def charged_tokens(view: View, e: int, tenant: int) -> float:
    """Service of a tenant with what its running calls are expected to generate [weighted tokens]."""
    served = served_tokens(view, e, tenant, PROMPT_WEIGHT, OUTPUT_WEIGHT)
    return served + OUTPUT_WEIGHT * running_output_tokens(view, e, tenant)


@njit
def service_share(view: View, e: int, tenant: int) -> float:
    """What a tenant has been served, over what all have; 0 before anybody was."""
    total = 0.0
    for other in range(num_tenants(view)):
        total += served_tokens(view, e, other, PROMPT_WEIGHT, OUTPUT_WEIGHT)
    return served_tokens(view, e, tenant, PROMPT_WEIGHT, OUTPUT_WEIGHT) / total if total > 0.0 else 0.0


@njit
def service_excess(view: View, e: int, tenant: int) -> float:
    """By how much a tenant's share of all service is above that of its weight, 0 where it is below."""
    return max(0.0, service_share(view, e, tenant) - weight_share(view, tenant))


@njit
def num_waiting(view: View, e: int, tenant: int) -> int:
    """Calls of a tenant in the global queue."""
    return int(view.tenants[e, tenant].ready)


@njit
def weight_of(view: View, tenant: int) -> float:
    """Weight of a tenant."""
    return float(view.world.tenants[tenant].weight)


@njit
def weight_share(view: View, tenant: int) -> float:
    """Weight of a tenant over that of all tenants of the scenario, those who ask for nothing among them."""
    return float(view.world.tenants[tenant].share)


@njit
def quota_tokens_per_s(view: View, tenant: int) -> float:
    """Quota of a tenant [weighted tokens/s], inf when it has none."""
    return float(view.world.tenants[tenant].quota_tokens_per_s)
