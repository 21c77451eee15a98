"""Metrics of tenants: how service is shared between those who want more than there is (docs/tenants.md)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome
from maestro_gym.episodes.metrics.workflows import jain_index
from maestro_gym.scheduling.service import OUTPUT_WEIGHT, PROMPT_WEIGHT

MOST_TENANTS = 32
"""Tenants, those with most workflows, between which gaps are looked for: pairs grow with the square."""


def service_tokens(outcome: Outcome, chosen: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Service that some stages have had by given times.

    A prompt counts at the first admission; an answer grows evenly from its first token to its last.

    Args:
        outcome: The episode.
        chosen: bool, shape (S,).
        times_s: float, shape (n,), ascending.

    Returns:
        Weighted tokens (`scheduling.service`), float, shape (n,): what happens at a time itself is included.
    """
    admitted_s, first_s, end_s, tokens = (
        array[chosen]
        for array in (
            outcome.first_admitted_s,
            outcome.first_token_s,
            np.minimum(outcome.stage_finished_s, outcome.end_s),
            OUTPUT_WEIGHT * outcome.generated_tokens,
        )
    )
    prompts = PROMPT_WEIGHT * (outcome.context_tokens - outcome.generated_tokens)[chosen]
    lasting = np.isfinite(first_s) & (end_s > first_s)
    rate = tokens[lasting] / (end_s - first_s)[lasting]
    at_once = np.isfinite(first_s) & ~lasting
    served = _sum_until(admitted_s, prompts, times_s) + _sum_until(first_s[at_once], tokens[at_once], times_s)
    # A ramp of slope r from a to b is r * (t - a) after a, less r * (t - b) after b.
    for edge_s, slope in ((first_s[lasting], rate), (end_s[lasting], -rate)):
        served += _sum_until(edge_s, slope, times_s) * times_s - _sum_until(edge_s, slope * edge_s, times_s)
    return served


def _sum_until(at_s: np.ndarray, amounts: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    order = np.argsort(at_s, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(amounts[order])])
    return total[np.searchsorted(at_s[order], times_s, side="right")]


def service_gap_tokens(outcome: Outcome) -> float:
    """The largest gap of service over weight between two tenants in any interval in which both have calls waiting.

    A call waits from its readiness to its first admission. Inside a run of such an interval the difference of two
    tenants wanders; its range is the largest gap of all intervals in it.

    Args:
        outcome: The episode.

    Returns:
        Weighted tokens; nan where no two tenants ever wait together.
    """
    owners = outcome.tenant[outcome.stage_workflow]
    tenants, count = np.unique(outcome.tenant, return_counts=True)
    tenants = tenants[np.argsort(-count, kind="stable")][:MOST_TENANTS]
    waits_until_s = np.minimum(outcome.first_admitted_s, outcome.end_s)
    edges = (outcome.ready_s, waits_until_s, outcome.first_token_s, np.minimum(outcome.stage_finished_s, outcome.end_s))
    times_s = np.unique(np.concatenate(edges))
    times_s = times_s[np.isfinite(times_s)]
    if len(times_s) < 2:
        return float("nan")
    begin, end, waits = [], [], []
    before_s = np.nextafter(times_s[1:], -np.inf)
    for tenant in tenants:
        mine = owners == tenant
        weight = outcome.tenant_weight[outcome.tenant == tenant][0]
        begin.append(service_tokens(outcome, mine, times_s[:-1]) / weight)
        end.append(service_tokens(outcome, mine, before_s) / weight)
        ready, ones = mine & outcome.ready, np.ones(len(mine))
        waiting = _sum_until(outcome.ready_s[ready], ones[ready], times_s[:-1])
        waits.append(waiting > _sum_until(waits_until_s[ready], ones[ready], times_s[:-1]))
    gaps = [
        _widest(begin[one] - begin[other], end[one] - end[other], waits[one] & waits[other])
        for one, other in combinations(range(len(tenants)), 2)
    ]
    return max((gap for gap in gaps if not np.isnan(gap)), default=float("nan"))


def _widest(begin: np.ndarray, end: np.ndarray, both: np.ndarray) -> float:
    """The widest range of a difference, known where segments begin and end, over a run of segments."""
    places = np.flatnonzero(both)
    if not len(places):
        return float("nan")
    first = np.concatenate([[0], np.flatnonzero(np.diff(places) > 1) + 1])
    high = np.maximum.reduceat(np.maximum(begin, end)[places], first)
    low = np.minimum.reduceat(np.minimum(begin, end)[places], first)
    return float((high - low).max())


def _by_tenant(outcome: Outcome, value: Callable[[Outcome], float]) -> list[float]:
    return [value(outcome.of_workflows(outcome.tenant == tenant)) for tenant in np.unique(outcome.tenant)]


def _served_evenly(outcome: Outcome) -> float:
    window = np.array([min(outcome.horizon_s, outcome.end_s)])

    def by_weight(own: Outcome) -> float:
        everything = np.ones(len(own.stage_workflow), bool)
        return float(service_tokens(own, everything, window)[0] / own.tenant_weight[0])

    return jain_index(np.array(_by_tenant(outcome, by_weight)))


define(
    "service_fairness",
    unit="1",
    better="neither",
    formula="Jain index (sum x)^2 / (n sum x^2) over tenants; x = (prompt tokens + 2 * output tokens) / weight, served "
    "by the end of the arrival window",
    description="Whether tenants were served alike, whatever they asked for: 1 if all were, 1/n if one had everything. "
    "A tenant that asks for less gets less under the fairest rule too, so read it beside `service_gap_tokens`.",
    compute=_served_evenly,
)
define(
    "service_gap_tokens",
    unit="tokens",
    better="lower",
    formula="max over pairs of tenants and over intervals in which both have calls that wait for their first admission "
    "of abs(x_i - x_j); x = (prompt tokens + 2 * output tokens) / weight, served in the interval",
    description="The largest gap of service between two tenants who both want more, the quantity that VTC bounds "
    "(arXiv 2401.00588). A prompt counts at its admission, an answer as it grows. Missing where no two tenants ever "
    f"wait together; of more than {MOST_TENANTS} tenants those with most workflows are compared.",
    compute=service_gap_tokens,
)
define(
    "slo_attainment_worst_tenant",
    unit="1",
    better="higher",
    formula="min over tenants of workflows with finished_s <= deadline_s / workflows of the tenant",
    description="The SLO attainment of the tenant that fares worst. Tenants with few workflows make it noisy.",
    compute=lambda o: min(
        _by_tenant(o, lambda own: share(own.deadline_met.sum(), len(own.deadline_s))), default=float("nan")
    ),
)
define(
    "shed_share_worst_tenant",
    unit="1",
    better="lower",
    formula="max over tenants of workflows with finite rejected_s / workflows of the tenant",
    description="The share of its workflows that the most rejected tenant lost to admission.",
    compute=lambda o: max(
        _by_tenant(o, lambda own: share(np.isfinite(own.rejected_s).sum(), len(own.rejected_s))), default=float("nan")
    ),
)
