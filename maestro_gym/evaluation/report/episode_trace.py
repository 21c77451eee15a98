"""What plots need of an episode: per-workflow outcomes, time series, a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.state import CLASS_NAMES

if TYPE_CHECKING:
    from maestro_gym.episodes.result import EpisodeResult


@dataclass(frozen=True)
class Trace:
    """One episode as a drawing needs it.

    Attributes:
        policy: Its name in the tables.
        scenario: The scenario's name.
        contention: The contention's label.
        seed: Evaluation seed.
        end_s: End of the run.
        horizon_s: End of the arrivals.
        samples: SAMPLE, shape (T,).
        residency_log: RESIDENCY_EVENT, shape (L,).
        node: int, shape (A,): node of every stage that was admitted.
        model: int, shape (A,).
        admitted_s: float, shape (A,): last admission.
        finished_s: float, shape (A,), ``end_s`` for stages still running.
        model_names: Names of the deployments, in order of their ids.
        node_names: Names of the nodes, in order of their ids.
    """

    policy: str
    scenario: str
    contention: str
    seed: int
    end_s: float
    horizon_s: float
    samples: np.ndarray
    residency_log: np.ndarray
    node: np.ndarray
    model: np.ndarray
    admitted_s: np.ndarray
    finished_s: np.ndarray
    model_names: tuple[str, ...]
    node_names: tuple[str, ...]


def trace_of(result: EpisodeResult) -> Trace:
    """Keep of a result what its drawings need.

    Args:
        result: An episode's result, simulated or live.
    """
    stages = result.stages[: len(result.episode.stages)]
    admitted = np.isfinite(stages["admitted_s"]) & (stages["node"] >= 0) & (stages["admitted_s"] <= result.end_s)
    chosen = stages[admitted]
    return Trace(
        policy=result.policy,
        scenario=result.scenario,
        contention=result.contention,
        seed=result.seed,
        end_s=float(result.end_s),
        horizon_s=float(result.world.params[0]["horizon_s"]),
        samples=np.array(result.samples),
        residency_log=np.array(result.residency_log),
        node=chosen["node"].astype(int),
        model=result.episode.stages["model"][admitted].astype(int),
        admitted_s=chosen["admitted_s"].astype(float),
        finished_s=np.minimum(chosen["finished_s"], result.end_s).astype(float),
        model_names=tuple(result.model_names),
        node_names=tuple(result.node_names),
    )


def workflow_table(result: EpisodeResult) -> pd.DataFrame:
    """One row a workflow: class, arrival, completion time (censored when unfinished), deadline met.

    Args:
        result: An episode's result, simulated or live.
    """
    outcome = outcome_of(result)
    return pd.DataFrame(
        {
            "scenario": result.scenario,
            "contention": result.contention,
            "policy": result.policy,
            "seed": result.seed,
            "workflow": np.arange(len(outcome.deadline_s)),
            "cls": np.array(CLASS_NAMES)[outcome.workflow_cls],
            "tenant": outcome.tenant,
            "arrival_s": outcome.arrival_s,
            "completion_s": outcome.completion_s,
            "finished": np.isfinite(outcome.workflow_finished_s),
            "deadline_met": outcome.deadline_met,
        }
    )
