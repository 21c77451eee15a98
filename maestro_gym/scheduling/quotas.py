"""Quotas of tenants as token buckets: what each may still be served before it is above what it has paid for.

    level = min(burst_s * quota, level + quota * elapsed) - service since

The service is that of `scheduling.service`; a bucket is full at the start, and below zero while a tenant is ahead of
its quota. Who has no quota is never above it.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.service import (
    OUTPUT_WEIGHT,
    PROMPT_WEIGHT,
    quota_tokens_per_s,
    served_tokens,
)
from maestro_gym.scheduling.view import is_new_decision, now_s, num_tenants
from maestro_gym.state import TENANT_MEMORY, View

_DECISION: Final = 70
"""Place of the decision up to which buckets are right in ``view.memory``; behind it the time of that decision [s]."""

_UNTIL: Final = _DECISION + 1

_USED: Final = TENANT_MEMORY - 2
"""Note of a tenant: by how much its bucket is below full [weighted tokens]; behind it the service counted so far."""

_COUNTED: Final = _USED + 1


@njit
def _update(view: View, e: int) -> None:
    """Fill and drain the buckets up to now."""
    elapsed_s = now_s(view, e) - float(view.memory[e, _UNTIL])
    view.memory[e, _UNTIL] = now_s(view, e)
    for tenant in range(num_tenants(view)):
        notes = view.tenant_memory[e, tenant]
        served = served_tokens(view, e, tenant, PROMPT_WEIGHT, OUTPUT_WEIGHT)
        quota = quota_tokens_per_s(view, tenant)
        if quota < math.inf:
            notes[_USED] = max(0.0, notes[_USED] - quota * elapsed_s) + served - notes[_COUNTED]
        notes[_COUNTED] = served


@njit
def update_quotas(view: View, e: int) -> None:
    """Fill and drain the buckets up to now, once a decision."""
    if is_new_decision(view, e, _DECISION):
        _update(view, e)


@njit
def above_quota_tokens(view: View, e: int, tenant: int, burst_s: float) -> float:
    """By how much a tenant has been served more than its quota and a burst allow; asked with one burst an episode.

    Returns:
        Weighted tokens, negative or 0 within the quota, -inf without one.
    """
    update_quotas(view, e)
    quota = quota_tokens_per_s(view, tenant)
    return -math.inf if quota == math.inf else float(view.tenant_memory[e, tenant, _USED]) - burst_s * quota
