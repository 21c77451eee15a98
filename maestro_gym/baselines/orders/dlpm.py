"""Deficit longest prefix match: the longest cached prefix among the clients that have credit left (DLPM, V-2nd).

    credit of a client = refills * quantum * weight - (prompt tokens that no cache served + 2 * tokens generated)
    clients with credit first, then the longest cached prefix, then the order of readiness
    when no waiting client has credit, each of them gets a quantum, until one has

Locality decides inside the quantum and fairness beyond it: the larger the quantum, the longer a client with a warm
cache may stay before the others. Source: arXiv 2501.14312.

Adapted: a client is a tenant; the prefix is the longest that any node holds, for the node is chosen later; a call that
runs is charged with its tenant's mean answer so far. The authors' quantum is not in what was read: the default is a
choice.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.service import (
    PROMPT_WEIGHT,
    charged_tokens,
    num_waiting,
    weight_of,
)
from maestro_gym.scheduling.view import is_new_decision, num_nodes, num_tenants, number, tenant_of
from maestro_gym.state import Hidden, View

NUMBERS = (Number("quantum", "tokens", 100, 100_000, 8000, "Service that a refill grants a tenant of weight 1."),)
(QUANTUM,) = places(NUMBERS)

_DECISION: Final = 64
"""Place of the decision up to which credits are right in ``view.memory``."""

_GRANTED: Final = 0
"""Note of a tenant: the sum of its refills [weighted tokens]."""


@njit
def _credit(view: View, e: int, tenant: int) -> float:
    """What is left of the refills of a tenant."""
    cached = PROMPT_WEIGHT * float(view.tenants[e, tenant].cached_tokens)
    used = charged_tokens(view, e, tenant) - cached
    return float(view.tenant_memory[e, tenant, _GRANTED]) - used


@njit
def _refill(view: View, e: int) -> None:
    """Give those who wait as many quanta as it takes for one of them to have credit."""
    quanta = math.inf
    for tenant in range(num_tenants(view)):
        if num_waiting(view, e, tenant) > 0:
            short = -_credit(view, e, tenant) / (number(view, e, QUANTUM) * weight_of(view, tenant))
            quanta = min(quanta, 0.0 if short < 0.0 else math.floor(short) + 1.0)
    if quanta == 0.0 or quanta == math.inf:
        return
    for tenant in range(num_tenants(view)):
        if num_waiting(view, e, tenant) > 0:
            grant = quanta * number(view, e, QUANTUM) * weight_of(view, tenant)
            view.tenant_memory[e, tenant, _GRANTED] += grant


@njit
def refill(view: View, e: int) -> None:
    """Bring credits up to date, once a decision."""
    if is_new_decision(view, e, _DECISION):
        _refill(view, e)


@njit
def credit(view: View, e: int, tenant: int) -> float:
    """The credit of a tenant [weighted tokens]."""
    refill(view, e)
    return _credit(view, e, tenant)


@njit
def band(view: View, e: int, stage: int) -> int:
    """0 while its tenant has credit, else 1."""
    return 0 if credit(view, e, tenant_of(view, e, stage)) > 0.0 else 1


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Minus the longest prefix of it that a node holds [tokens]."""
    longest = 0
    for node in range(num_nodes(view)):
        longest = max(longest, prefix_hit_tokens(view, e, node, stage))
    return -float(longest)


RULE = order_by(
    key,
    band=band,
    begin=refill,
    numbers=NUMBERS,
    name="dlpm",
    information="N",
    description="tenants with credit of the last refill first, then the longest cached prefix",
    source="DLPM, arXiv 2501.14312 (V-2nd)",
    choice="the longest prefix that any node holds; running calls are charged with a mean answer; the quantum",
)
