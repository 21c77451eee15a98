"""Throttle under overload: while the fleet is full, newcomers of tenants above their quota are turned away (V-2nd).

    rejected    saturation >= threshold and the tenant is above its quota, at its arrival

Throttling by quota alone wastes what nobody else wants; FairServe (arXiv 2411.15997) throttles a user above its limit
only while the system is overloaded. Quotas are token buckets in service (`scheduling.quotas`), the saturation is that
of `admission.shed`.
"""

from __future__ import annotations

from maestro_gym.baselines.admission.shed import saturation_of
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.quotas import above_quota_tokens
from maestro_gym.scheduling.rules import ADMITS, REJECTS, admit_by
from maestro_gym.scheduling.view import has_just_arrived, number, tenant_of
from maestro_gym.state import View

NUMBERS = (
    Number("burst", "s", 1, 120, 10, "Time for which an idle tenant's quota is kept for it."),
    Number("threshold", "1", 0, 4, 1, "Saturation from which the fleet counts as overloaded."),
    Number("queue_threshold", "stages/node", 0.5, 64, 5, "Waiting stages a node that count as full."),
    Number("kv_threshold", "1", 0.1, 1, 0.8, "Share of KV memory in use that counts as full."),
)
BURST, THRESHOLD, QUEUE_THRESHOLD, KV_THRESHOLD = places(NUMBERS)


@njit
def verdict(view: View, e: int, stage: int) -> int:
    """``REJECTS`` a newcomer of a tenant above its quota while the fleet is full, ``ADMITS`` all others."""
    above_tokens = above_quota_tokens(view, e, tenant_of(view, e, stage), number(view, e, BURST))
    if above_tokens <= 0.0 or not has_just_arrived(view, e, stage):
        return ADMITS
    saturation = saturation_of(view, e, number(view, e, QUEUE_THRESHOLD), number(view, e, KV_THRESHOLD))
    return REJECTS if saturation >= number(view, e, THRESHOLD) else ADMITS


RULE = admit_by(
    verdict,
    numbers=NUMBERS,
    name="throttle",
    information="N",
    description="turns away newcomers of tenants above their quota while the fleet is full",
    source="FairServe, arXiv 2411.15997 (V-2nd)",
    choice="quotas in weighted tokens, saturation as of shed; the burst",
)
