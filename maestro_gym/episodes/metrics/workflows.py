"""Metrics of workflows: service levels, completion times, goodput, fairness."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, define_distribution, share
from maestro_gym.episodes.metrics.outcome import Outcome


def jain_index(shares: np.ndarray) -> float:
    """Jain's fairness index, (sum x)^2 / (n sum x^2): 1 = all equal, 1/n = one has everything.

    Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC-TR-301 (1984).

    Args:
        shares: float, shape (n,), not negative.
    """
    square = len(shares) * float(np.square(shares).sum())
    return float(shares.sum()) ** 2 / square if square else float("nan")


def _speed(outcome: Outcome) -> np.ndarray:
    return np.divide(
        outcome.nominal_s,
        outcome.completion_s,
        out=np.ones(len(outcome.nominal_s)),
        where=outcome.completion_s > 0,
    )


def _tenant_fairness(outcome: Outcome) -> float:
    speed = _speed(outcome)
    return jain_index(np.array([speed[outcome.tenant == tenant].mean() for tenant in np.unique(outcome.tenant)]))


def _slowdown(outcome: Outcome) -> float:
    known = outcome.nominal_s > 0
    return float((outcome.completion_s[known] / outcome.nominal_s[known]).mean()) if known.any() else float("nan")


define(
    "slo_attainment",
    unit="1",
    better="higher",
    formula="workflows with finished_s <= deadline_s / workflows of the episode",
    description="The share of workflows that finish by their deadline. An unfinished workflow is a miss, a rejected "
    "one too: whoever was offered counts.",
    compute=lambda o: share(o.deadline_met.sum(), len(o.deadline_s)),
    per_class=True,
)
define_distribution(
    "completion",
    formula="min(finished_s, cap) - arrival_s over workflows",
    description="The completion time of a workflow (job completion time). A workflow that is unfinished at the cap "
    "counts with the time that it had taken by then, so the value is a lower bound where `unfinished` is not zero.",
    values=lambda o: o.completion_s,
)
define(
    "slowdown_mean",
    unit="1",
    better="lower",
    formula="mean of completion time / nominal_s over workflows; nominal_s = service and tool gaps of the longest "
    "path at the nominal speed of the models",
    description="How much longer a workflow takes than it would alone on an idle, warm fleet. Short and long workflows "
    "weigh alike.",
    compute=_slowdown,
    per_class=True,
)
define(
    "goodput_per_s",
    unit="workflows/s",
    better="higher",
    formula="workflows with finished_s <= deadline_s / horizon_s",
    description="The number of workflows that meet their deadline, per second of the arrival window. The window is the "
    "same for every policy, so one straggler cannot stretch the denominator.",
    compute=lambda o: share(o.deadline_met.sum(), o.horizon_s),
    per_class=True,
)
define(
    "goodput_tokens_per_s",
    unit="tokens/s",
    better="higher",
    formula="output tokens of workflows with finished_s <= deadline_s / horizon_s",
    description="The same in tokens: output of workflows that miss their deadline counts for nothing.",
    compute=lambda o: share(o.generated_tokens[o.deadline_met[o.stage_workflow]].sum(), o.horizon_s),
    per_class=True,
)
define(
    "unfinished",
    unit="workflows",
    better="lower",
    formula="workflows with finished_s > end of the run",
    description="The number of workflows that were not finished when the run ended, at the end of the drain or out of "
    "events. Rejected ones are among them: `shed_share` says how many.",
    compute=lambda o: float((~np.isfinite(o.workflow_finished_s)).sum()),
    per_class=True,
)
define(
    "shed_share",
    unit="1",
    better="lower",
    formula="workflows with finite rejected_s / workflows of the episode",
    description="The share of workflows that the global tier turned away (`limits.admission`). They stay in every "
    "denominator: each has missed its deadline, and its times count up to the cap.",
    compute=lambda o: share(np.isfinite(o.rejected_s).sum(), len(o.rejected_s)),
    per_class=True,
)
define(
    "tenant_fairness",
    unit="1",
    better="higher",
    formula="Jain index (sum x)^2 / (n sum x^2) over tenants; x = mean of nominal_s / completion time of its workflows",
    description="Whether tenants are slowed down alike: 1 if all are, 1/n if one tenant has all the speed.",
    compute=_tenant_fairness,
    per_class=True,
)
