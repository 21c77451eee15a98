"""Weighted quotas: who is within its quota goes first, and what is left is shared by weight (I).

    within the quota: first, in order of readiness; above it: least (service beyond the quota) / weight

Quotas are token buckets in service (`scheduling.quotas`). Nothing is refused: capacity that nobody has paid for goes to
those who are above their quota. A tenant without one is never above it.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.quotas import above_quota_tokens, update_quotas
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.service import weight_of
from maestro_gym.scheduling.view import number, ready_s, tenant_of
from maestro_gym.state import Hidden, View

NUMBERS = (Number("burst", "s", 1, 120, 10, "Time for which an idle tenant's quota is kept for it."),)
(BURST,) = places(NUMBERS)


@njit
def _above_tokens(view: View, e: int, stage: int) -> float:
    """By how much the tenant of a stage is above its quota [weighted tokens]."""
    return above_quota_tokens(view, e, tenant_of(view, e, stage), number(view, e, BURST))


@njit
def band(view: View, e: int, stage: int) -> int:
    """0 while its tenant is within its quota, else 1."""
    return 0 if _above_tokens(view, e, stage) <= 0.0 else 1


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """When it became ready [s]; above the quota the excess over the weight [weighted tokens]."""
    above = _above_tokens(view, e, stage)
    return ready_s(view, e, stage) if above <= 0.0 else above / weight_of(view, tenant_of(view, e, stage))


RULE = order_by(
    key,
    band=band,
    begin=update_quotas,
    numbers=NUMBERS,
    name="weighted-quota",
    information="N",
    description="tenants within their quota first, then the least excess over the weight",
    source="token buckets by tenant (I)",
    choice="quotas in weighted tokens; the burst",
)
