"""What a reader of a record must know before he compares it with others."""

from __future__ import annotations

import numpy as np

from maestro_gym.evaluation.statistics import paired_differences
from maestro_gym.evaluation.suite.definition import BudgetConfig
from maestro_gym.evaluation.suite.identity import PolicyIdentity, Training
from maestro_gym.evaluation.suite.record import Episodes
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, INFORMATION_NAMES

SHEDS, INFORMED, OVER_BUDGET, NOT_STATED, CUT_OFF = "sheds work", "informed", "over budget", "not stated", "cut off"

UNRANKED = (INFORMED, OVER_BUDGET)
"""Marks of records that stand in the leaderboard without a place."""

_FREE_SHARE = 0.01
"""Share of the offered workflows that may be left unfinished beyond the reference's: one point, as the limits of
``configs/search`` forgive one point of SLO attainment."""


def marks_of(
    budget: BudgetConfig, policy: PolicyIdentity, training: Training, own: Episodes, reference: Episodes
) -> dict[str, str]:
    """Say what sets a record apart.

    Args:
        budget: The benchmark's.
        policy: Who decided.
        training: What it had cost.
        own: Its episodes.
        reference: Those of the reference on the same seeds.

    Returns:
        A sentence by kind of mark.
    """
    found = {
        SHEDS: _sheds(own, reference),
        INFORMED: _informed(budget, policy),
        OVER_BUDGET: _over_budget(budget, training),
        NOT_STATED: "" if training.stated else "what its training cost is not stated",
        CUT_OFF: _cut_off(own),
    }
    return {kind: sentence for kind, sentence in found.items() if sentence}


def _sheds(own: Episodes, reference: Episodes) -> str:
    """Whether clearly more of the offered work is never served to its end than under the reference.

    No rule can refuse a workflow outright, but it can let it wait until the run ends: its deadline is missed either
    way, and the capacity goes to those that can still meet theirs.
    """
    offered = np.array(own.workflows, dtype=float)
    shares = [np.array(e.metrics["unfinished"], dtype=float) / offered for e in (own, reference)]
    more = paired_differences(*shares)[0]
    if not (more.estimate > _FREE_SHARE and (more.low > 0.0 or more.n < 2)):
        return ""
    return (
        f"{100 * shares[0].mean():.1f} % of the offered workflows are never finished, "
        f"{100 * more.estimate:.1f} points more than under the reference"
    )


def _informed(budget: BudgetConfig, policy: PolicyIdentity) -> str:
    read, allowed = (INFORMATION_CLASSES.index(word) for word in (policy.information, budget.information))
    if read <= allowed:
        return ""
    may = INFORMATION_NAMES[budget.information]
    return f"class {policy.information} ({INFORMATION_NAMES[policy.information]}), where the benchmark allows {may}"


def _over_budget(budget: BudgetConfig, training: Training) -> str:
    spent = [
        f"{used:,.0f} {words} of {getattr(budget, name):,.0f}"
        for name, words in (("episodes", "episodes"), ("decisions", "decisions"), ("wall_s", "s of training"))
        if (used := getattr(training, name)) is not None and used > getattr(budget, name)
    ]
    return ", ".join(spent)


def _cut_off(own: Episodes) -> str:
    count = own.ends.count("event budget")
    return f"{count} of {len(own.ends)} episodes used up their budget of events" if count else ""
