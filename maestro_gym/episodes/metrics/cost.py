"""Metrics of money: what the fleet costs by the hour, for the work that it finishes (docs/mixed_fleets.md)."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome
from maestro_gym.state import NODE_OFF

_S_PER_H = 3600.0


def _cost_usd(outcome: Outcome) -> float:
    whole_usd = outcome.node_usd_per_h.sum() * outcome.end_s / _S_PER_H
    # What is saved is taken off, so that a fleet that is always on costs what it did to the last bit.
    return float(whole_usd - (outcome.node_usd_per_h * outcome.node_state_s[:, NODE_OFF]).sum() / _S_PER_H)


define(
    "cost_usd",
    unit="USD",
    better="lower",
    formula="sum over nodes of usd_per_h * (end_s - off_s) / 3600",
    description="What the nodes of the fleet cost over the run, busy or idle, while they are not off; one that starts, "
    "drains or has failed is paid for. Missing where the price of any of its "
    "GPUs is not known. Whoever drains sooner pays for less time.",
    compute=_cost_usd,
)
define(
    "cost_per_1k_workflows_usd",
    unit="USD",
    better="lower",
    formula="1000 * cost_usd / finished workflows",
    description="The cost of a thousand workflows that finish, in time or late. Missing where none finishes.",
    compute=lambda o: share(1000.0 * _cost_usd(o), np.isfinite(o.workflow_finished_s).sum()),
)
define(
    "cost_per_1k_in_time_usd",
    unit="USD",
    better="lower",
    formula="1000 * cost_usd / workflows with finished_s <= deadline_s",
    description="The cost of a thousand workflows that meet their deadline: the cost of goodput. Missing where none "
    "does.",
    compute=lambda o: share(1000.0 * _cost_usd(o), o.deadline_met.sum()),
)
