"""Metrics of elastic parallelism: how often GPUs were regrouped, what that cost, and of how many a node was."""

from __future__ import annotations

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome
from maestro_gym.state import NODE_DRAINING, NODE_READY, NODE_STARTING

_S_PER_H = 3600.0


def _changing_gpu_h(outcome: Outcome) -> float:
    changing_s = outcome.node_state_s[:, [NODE_DRAINING, NODE_STARTING]].sum(axis=1)
    return float((outcome.node_gpus * changing_s).sum()) / _S_PER_H


def _degree_mean(outcome: Outcome) -> float:
    gpu_s = outcome.node_gpus * outcome.node_state_s[:, NODE_READY]
    return share(float((outcome.node_gpus * gpu_s).sum()), float(gpu_s.sum()))


define(
    "regroups",
    unit="boards",
    better="neither",
    formula="count",
    description="How often the GPUs of a board were told to form nodes of another tensor-parallel degree.",
    compute=lambda outcome: outcome.counters["regroups"],
)
define(
    "changing_gpu_h",
    unit="GPU h",
    better="lower",
    formula="sum over nodes of gpus * (draining_s + starting_s) / 3600",
    description="GPU-hours of nodes that drained or started: what changes of degree cost, or starts and stops. "
    "While it drains a node still serves what it has.",
    compute=_changing_gpu_h,
)
define(
    "degree_mean",
    unit="GPUs",
    better="neither",
    formula="sum over nodes of gpus^2 * ready_s / sum over nodes of gpus * ready_s",
    description="Tensor-parallel degree in which a GPU serves, on average over GPUs and time.",
    compute=_degree_mean,
)
