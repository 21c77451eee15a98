"""Virtual token counter: the client that has been served least goes first (VTC, 2401.00588, V).

    counter of a client = (prompt tokens admitted + 2 * tokens generated) / weight; least first
    on return: counter = max(counter, least counter of the clients that wait)

A client's wait earns it nothing while it has nothing to serve, so who returns does not go before all others for long.
The weight is that of its weighted form.

Adapted: a client is a tenant, and what its calls generate counts when they end, as a scheduler outside the engines sees
it; `orders.vtc_predict` estimates them before. When nobody else waits a counter is not lifted.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.service import num_waiting, running_output_tokens, served_tokens, weight_of
from maestro_gym.scheduling.view import is_new_decision, num_tenants, number, tenant_of
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number("prompt_weight", "1", 0, 4, 1, "Weight of a prompt token in the counter."),
    Number("output_weight", "1", 0, 8, 2, "Weight of a generated token in the counter."),
    Number("running_share", "1", 0, 1, 0, "Share of the tenant's mean answer that counts for a call that runs."),
)
PROMPT_WEIGHT, OUTPUT_WEIGHT, RUNNING_SHARE = places(NUMBERS)

_DECISION: Final = 64
"""Place of the decision up to which counters are right in ``view.memory``."""

_LIFT, _WAITS = range(2)
"""Notes of a tenant: by how much its counter was lifted; whether it had calls in the queue at the last decision."""


@njit
def _unlifted(view: View, e: int, tenant: int) -> float:
    """What a tenant has been served, calls that run by estimate, over its weight."""
    output_weight = number(view, e, OUTPUT_WEIGHT)
    served = served_tokens(view, e, tenant, number(view, e, PROMPT_WEIGHT), output_weight)
    served += number(view, e, RUNNING_SHARE) * output_weight * running_output_tokens(view, e, tenant)
    return served / weight_of(view, tenant)


@njit
def _lift_returned(view: View, e: int) -> None:
    """Lift the counters of those who return to the least of those who have waited."""
    notes = view.tenant_memory[e]
    least = math.inf
    for tenant in range(num_tenants(view)):
        if notes[tenant, _WAITS] > 0.0 and num_waiting(view, e, tenant) > 0:
            least = min(least, _unlifted(view, e, tenant) + notes[tenant, _LIFT])
    for tenant in range(num_tenants(view)):
        waits = num_waiting(view, e, tenant) > 0
        if waits and notes[tenant, _WAITS] == 0.0 and least < math.inf:
            notes[tenant, _LIFT] = max(notes[tenant, _LIFT], least - _unlifted(view, e, tenant))
        notes[tenant, _WAITS] = 1.0 if waits else 0.0


@njit
def lift(view: View, e: int) -> None:
    """Bring counters up to date, once a decision."""
    if is_new_decision(view, e, _DECISION):
        _lift_returned(view, e)


@njit
def counter(view: View, e: int, tenant: int) -> float:
    """What a tenant's counter shows [weighted tokens]."""
    lift(view, e)
    return _unlifted(view, e, tenant) + float(view.tenant_memory[e, tenant, _LIFT])


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """The counter of its tenant [weighted tokens]."""
    return counter(view, e, tenant_of(view, e, stage))


RULE = order_by(
    key,
    begin=lift,
    numbers=NUMBERS,
    name="vtc",
    information="N",
    description="tenant with the least virtual token counter over its weight, lifted on return",
    source="VTC, arXiv 2401.00588 (V)",
    choice="generated tokens count when a call ends",
)
