"""What drawings need of an episode: per-workflow outcomes, time series, who ran where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.state import CLASS_NAMES, STAGE_RUNNING

if TYPE_CHECKING:
    from maestro_gym.episodes.result import EpisodeResult
    from maestro_gym.state import Episode

STAGE_TIMES = ("ready_s", "sent_s", "queued_s", "admitted_s", "first_token_s", "finished_s")
"""Moments of a stage, in their order; inf: it never came to that."""

TRACED_STAGE = np.dtype(
    [(name, "i4") for name in ("workflow", "role", "model", "node", "prompt_tokens", "generated_tokens", "preemptions")]
    + [("running", "?")]
    + [(name, "f8") for name in STAGE_TIMES]
)
"""A stage in a trace; ``running`` when the end of the run found it at work."""

TRACED_WORKFLOW = np.dtype(
    [(name, "f8") for name in ("arrival_s", "deadline_s", "finished_s", "rejected_s")]
    + [(name, "i4") for name in ("cls", "tenant", "first_stage", "num_stages")]
)
"""A workflow in a trace; ``finished_s`` is inf when the end of the run found it unfinished, ``rejected_s`` where it
was not turned away."""

MOST_NODE_CELLS = 2**18
"""Cells that the time series of single nodes keeps: a fleet of hundreds is thinned in time."""


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
        node_samples: NODE_SAMPLE, shape (D, N).
        node_samples_s: float, shape (D,): their moments.
        residency_log: RESIDENCY_EVENT, shape (L,).
        stages: TRACED_STAGE, shape (S,), a row a stage of the episode.
        workflows: TRACED_WORKFLOW, shape (W,).
        edges: int32, shape (J, 2): a stage, and one that waits for it.
        model_names: Names of the deployments, in order of their ids.
        node_names: Names of the nodes, in order of their ids.
        role_names: Names of the roles, in order of their ids.
    """

    policy: str
    scenario: str
    contention: str
    seed: int
    end_s: float
    horizon_s: float
    samples: np.ndarray
    node_samples: np.ndarray
    node_samples_s: np.ndarray
    residency_log: np.ndarray
    stages: np.ndarray
    workflows: np.ndarray
    edges: np.ndarray
    model_names: tuple[str, ...]
    node_names: tuple[str, ...]
    role_names: tuple[str, ...]

    @cached_property
    def ran(self) -> np.ndarray:
        """Ids of the stages of which is known when they ran, shape (A,).

        A stage that was paused and begun again counts from its last admission; one that was paused and not begun again
        by the end of the run is left out.
        """
        stages = self.stages
        admitted = np.isfinite(stages["admitted_s"]) & (stages["node"] >= 0) & (stages["admitted_s"] <= self.end_s)
        return np.flatnonzero(admitted & (np.isfinite(stages["finished_s"]) | stages["running"]))

    @cached_property
    def running_s(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the stages of `ran`: admission, first token, end, each float of shape (A,); none after the run's end.

        The first token of a stage that was paused after it counts as there at once.
        """
        stages = self.stages[self.ran]
        ends_s = np.minimum(stages["finished_s"], self.end_s)
        return stages["admitted_s"], np.clip(stages["first_token_s"], stages["admitted_s"], ends_s), ends_s


def trace_of(result: EpisodeResult) -> Trace:
    """Keep of a result what its drawings need.

    Args:
        result: An episode's result, simulated or live.
    """
    rows = result.node_samples
    step = max(1, -(-rows.size // MOST_NODE_CELLS))
    return Trace(
        policy=result.policy,
        scenario=result.scenario,
        contention=result.contention,
        seed=result.seed,
        end_s=float(result.end_s),
        horizon_s=float(result.world.params[0]["horizon_s"]),
        samples=np.array(result.samples),
        node_samples=np.array(rows[::step]),
        node_samples_s=np.array(result.samples["time_s"][: len(rows) : step]),
        residency_log=np.array(result.residency_log),
        stages=traced_stages(result.episode, result.stages),
        workflows=traced_workflows(result.episode, result.workflows["finished_s"], result.workflows["rejected_s"]),
        edges=edges_of(result.episode),
        model_names=tuple(result.model_names),
        node_names=tuple(result.node_names),
        role_names=tuple(result.role_names),
    )


def busiest_nodes(traces: Sequence[Trace], most: int) -> list[int]:
    """Choose the nodes that worked most in some episodes of one fleet together.

    Args:
        traces: The episodes.
        most: How many nodes at the most.

    Returns:
        Their ids, ascending.
    """
    busy_s = np.zeros(len(traces[0].node_names))
    for trace in traces:
        begins_s, _, ends_s = trace.running_s
        busy_s += np.bincount(trace.stages["node"][trace.ran], ends_s - begins_s, minlength=len(busy_s))
    return sorted(np.argsort(-busy_s, kind="stable")[:most].tolist())


def traced_stages(episode: Episode, view: np.ndarray) -> np.ndarray:
    """Stages as a trace holds them.

    Args:
        episode: What happened.
        view: STAGE_VIEW, shape (S,), as it stood at the end.

    Returns:
        TRACED_STAGE, shape (S,).
    """
    rows = np.zeros(len(episode.stages), TRACED_STAGE)
    for name in ("workflow", "role", "model", "prompt_tokens"):
        rows[name] = episode.stages[name]
    for name in ("node", "generated_tokens", "preemptions", *STAGE_TIMES):
        rows[name] = view[name][: len(rows)]
    rows["running"] = view["phase"][: len(rows)] == STAGE_RUNNING
    return rows


def traced_workflows(episode: Episode, finished_s: np.ndarray, rejected_s: np.ndarray | float = np.inf) -> np.ndarray:
    """Workflows as a trace holds them.

    Args:
        episode: What happened.
        finished_s: float, shape (W,), inf for unfinished ones.
        rejected_s: float, shape (W,), inf for those that were not turned away.

    Returns:
        TRACED_WORKFLOW, shape (W,).
    """
    rows = np.zeros(len(episode.workflows), TRACED_WORKFLOW)
    for name in ("arrival_s", "deadline_s", "cls", "tenant", "first_stage", "num_stages"):
        rows[name] = episode.workflows[name]
    rows["finished_s"] = finished_s[: len(rows)]
    rows["rejected_s"] = rejected_s[: len(rows)] if isinstance(rejected_s, np.ndarray) else rejected_s
    return rows


def edges_of(episode: Episode) -> np.ndarray:
    """Which stage waits for which.

    Args:
        episode: What happened.

    Returns:
        int32, shape (J, 2): a stage and its child.
    """
    counts = episode.hidden["num_children"]
    parents = np.repeat(np.arange(len(counts)), counts)
    # Rows of ``children`` follow ``child_start``, in whatever order the stages were made.
    within = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    children = episode.children[np.repeat(episode.hidden["child_start"], counts) + within]
    return np.stack([parents, children], axis=1).astype(np.int32)


def workflow_table(result: EpisodeResult) -> pd.DataFrame:
    """One row a workflow: class, arrival, completion time (censored when unfinished), deadline met, turned away.

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
            "rejected": np.isfinite(outcome.rejected_s),
        }
    )
