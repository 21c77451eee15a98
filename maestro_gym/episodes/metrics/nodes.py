"""Metrics of nodes and links that come and go: availability, what failures cost, node-hours and energy."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome
from maestro_gym.state import NODE_FAILED, NODE_OFF

_S_PER_H = 3600.0
_J_PER_KWH = 3.6e6

IDLE_POWER_SHARE = 0.15
"""Power of a GPU that is on and computes nothing, as a share of its limit; a modelling choice."""


def _on_s(outcome: Outcome) -> np.ndarray:
    """Time that each node was not off; float, shape (N,)."""
    return outcome.node_state_s.sum(axis=1) - outcome.node_state_s[:, NODE_OFF]


def _availability(outcome: Outcome) -> float:
    on_s = _on_s(outcome).sum()
    return share(on_s - outcome.node_state_s[:, NODE_FAILED].sum(), on_s)


def _energy_kwh(outcome: Outcome) -> float:
    on_s = _on_s(outcome)
    busy_s = np.minimum(outcome.node_busy_s, on_s)
    return float((outcome.node_max_w * (busy_s + IDLE_POWER_SHARE * (on_s - busy_s))).sum()) / _J_PER_KWH


define(
    "availability",
    unit="1",
    better="higher",
    formula="1 - sum over nodes of failed_s / sum over nodes of (end_s - off_s)",
    description="Share of the time of nodes that are on in which they had not failed. 1 where nothing fails; tends to "
    "MTBF/(MTBF + MTTR) of the nodes in a long run.",
    compute=_availability,
)
define(
    "restarts",
    unit="stages",
    better="lower",
    formula="sum over failures of stages that ran on the node",
    description="How often a running stage was lost with its node, and began from nothing. Stages that only waited "
    "there are sent again and not counted.",
    compute=lambda outcome: outcome.counters["restarts"],
)
define(
    "wasted_tokens",
    unit="tokens",
    better="lower",
    formula="sum over restarts of (KV tokens computed - tokens of a cached prefix)",
    description="Tokens that were prefilled or generated for stages that were lost with their node, up to the last "
    "whole step. KV of finished stages that is lost too is not counted; who needs it prefills it again.",
    compute=lambda outcome: outcome.counters["wasted_tokens"],
)
define(
    "resent",
    unit="messages",
    better="neither",
    formula="count",
    description="Prompts and answers that an outage of the link between two clusters met on their way, or that a node "
    "had to send back during one, and that were sent anew when it was repaired. Each is counted once.",
    compute=lambda outcome: outcome.counters["resent"],
)
define(
    "node_h",
    unit="node h",
    better="lower",
    formula="sum over nodes of (end_s - off_s) / 3600",
    description="Node-hours that were paid for: of nodes that are ready, start, drain or have failed.",
    compute=lambda outcome: float(_on_s(outcome).sum()) / _S_PER_H,
)
define(
    "node_starts",
    unit="nodes",
    better="neither",
    formula="count",
    description="How often a node was started, or called back while it drained.",
    compute=lambda outcome: outcome.counters["node_starts"],
)
define(
    "energy_kwh",
    unit="kWh",
    better="lower",
    formula="sum over nodes of max_w * (busy_s + 0.15 * (end_s - off_s - busy_s)) / 3.6e6",
    description="Energy of the GPUs: their power limit while engines compute, which is an upper bound, and 0.15 of it "
    "while they are on and do not, a modelling choice. Missing where the limit of any GPU is not known. Hosts and "
    "cooling are left out.",
    compute=_energy_kwh,
)
