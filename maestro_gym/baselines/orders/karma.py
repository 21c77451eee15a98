"""Karma: who stays below its fair share earns credits, who goes above it spends them (2305.17222, V-2nd).

    fair share of a quantum = weight share * capacity, capacity = a running mean of the service of the quanta so far
    below its share in the running quantum: first, in order of readiness; else the tenant with most credits
    at the end of a quantum: borrowed = max(0, served - share), donated = max(0, share - served)
        a borrower pays what it borrowed; as much is paid to donors, to the one with least credits first

What one pays another earns, so the sum of credits stays as it was. Credits make allocation max-min over time: a tenant
with little demand now is served before heavy ones later.

Adapted: the resource is service in weighted tokens and slices are infinitely small; alpha is 1, so that all of a share
is guaranteed and none is common; nobody is refused for want of credits, which order only; capacity is measured. A call
that runs is charged with its tenant's mean answer so far.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.service import (
    charged_tokens,
    weight_share,
)
from maestro_gym.scheduling.view import is_new_decision, now_s, num_tenants, number, ready_s, tenant_of
from maestro_gym.state import Hidden, View

NUMBERS = (Number("quantum", "s", 1, 120, 15, "Time after which shares are settled."),)
(QUANTUM,) = places(NUMBERS)

_DECISION: Final = 64
"""Place of the decision up to which accounts are right in ``view.memory``; behind it the running quantum's begin [s]
and the capacity [weighted tokens/s]."""

_BEGIN: Final = _DECISION + 1
_CAPACITY: Final = _DECISION + 2

_CREDITS, _BEFORE = range(2)
"""Notes of a tenant: its credits; what it had been served when the running quantum began [weighted tokens]."""

_NEWEST: Final = 0.2
"""Weight of the newest quantum in the running mean of capacity (modelling choice)."""

_HALVINGS: Final = 200
"""Steps in which the level to which donors are filled up is found: to the last bit, whatever the credits are."""


@njit
def settle(credits: np.ndarray, over: np.ndarray) -> None:
    """Settle a quantum, in place.

    Args:
        credits: float64, shape (tenants,), moved.
        over: float64, shape (tenants,), service above the fair share, negative below it; its sum is at most 0.
    """
    lent = 0.0
    low, high = math.inf, -math.inf
    for tenant in range(len(over)):
        if over[tenant] > 0.0:
            lent += over[tenant]
            credits[tenant] -= over[tenant]
        else:
            low = min(low, credits[tenant])
            high = max(high, credits[tenant] - over[tenant])
    if lent == 0.0:
        return
    # Donors are paid as water fills vessels: the lowest first, none above what it has donated.
    for _ in range(_HALVINGS):
        level = 0.5 * (low + high)
        if _filled(credits, over, level) < lent:
            low = level
        else:
            high = level
    for tenant in range(len(over)):
        if over[tenant] <= 0.0:
            credits[tenant] += min(-over[tenant], max(0.0, high - credits[tenant]))


@njit
def _filled(credits: np.ndarray, over: np.ndarray, level: float) -> float:
    """What donors get when they are filled up to a level."""
    total = 0.0
    for tenant in range(len(over)):
        if over[tenant] <= 0.0:
            total += min(-over[tenant], max(0.0, level - credits[tenant]))
    return total


@njit
def _served_now(view: View, e: int, tenant: int) -> float:
    """What a tenant has been served in the running quantum [weighted tokens]."""
    return charged_tokens(view, e, tenant) - float(view.tenant_memory[e, tenant, _BEFORE])


@njit
def _end_quantum(view: View, e: int, elapsed_s: float) -> None:
    """Settle the running quantum, which has lasted for a time, and begin the next."""
    tenants = num_tenants(view)
    total = 0.0
    for tenant in range(tenants):
        total += _served_now(view, e, tenant)
    before = float(view.memory[e, _CAPACITY])
    mean = (1.0 - _NEWEST) * before + _NEWEST * total / elapsed_s if before > 0.0 else total / elapsed_s
    view.memory[e, _CAPACITY] = mean
    # Shares of at least what was served in all, so that there is always a donor for what was borrowed.
    capacity = max(mean, total / elapsed_s)
    notes = view.tenant_memory[e]
    for tenant in range(tenants):
        share = weight_share(view, tenant) * capacity * elapsed_s
        notes[tenant, _BEFORE] = _served_now(view, e, tenant) - share
    settle(notes[:, _CREDITS], notes[:, _BEFORE])
    for tenant in range(tenants):
        notes[tenant, _BEFORE] = charged_tokens(view, e, tenant)
    view.memory[e, _BEGIN] = now_s(view, e)


@njit
def end_quantum_in_time(view: View, e: int) -> None:
    """Bring accounts up to date, once a decision."""
    if is_new_decision(view, e, _DECISION):
        elapsed_s = now_s(view, e) - float(view.memory[e, _BEGIN])
        if elapsed_s >= number(view, e, QUANTUM):
            _end_quantum(view, e, elapsed_s)


@njit
def left_of_share(view: View, e: int, tenant: int) -> float:
    """What a tenant may still be served of its fair share in the running quantum."""
    end_quantum_in_time(view, e)
    share = weight_share(view, tenant) * float(view.memory[e, _CAPACITY]) * number(view, e, QUANTUM)
    return share - _served_now(view, e, tenant)


@njit
def band(view: View, e: int, stage: int) -> int:
    """0 while its tenant is below its fair share of the quantum, else 1."""
    return 0 if left_of_share(view, e, tenant_of(view, e, stage)) > 0.0 else 1


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """When it became ready [s]; above the share minus the tenant's credits, what it borrows now taken off."""
    tenant = tenant_of(view, e, stage)
    left = left_of_share(view, e, tenant)
    return ready_s(view, e, stage) if left > 0.0 else -(float(view.tenant_memory[e, tenant, _CREDITS]) + left)


RULE = order_by(
    key,
    band=band,
    begin=end_quantum_in_time,
    numbers=NUMBERS,
    name="karma",
    information="N",
    description="tenants below their fair share first, then those with most credits, earned by staying below it",
    source="Karma, arXiv 2305.17222 (V-2nd)",
    choice="service in weighted tokens, alpha 1, capacity a running mean, credits only order; the quantum",
)
