"""What one episode under one policy left behind: the input of every metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maestro_gym.state import Episode, World


@dataclass(frozen=True)
class EpisodeResult:
    """The log of one episode.

    A time that never came is ``inf``: a workflow is unfinished when its ``finished_s`` is.

    Attributes:
        policy: Name of the policy.
        scenario: Name of the scenario.
        contention: Its level (low, medium, high, overload), or its offered load.
        split: Split of the episode.
        seed: Seed of the environment.
        index: Number of the episode.
        episode: The truth.
        stages: STAGE_VIEW, shape (num_stages,), as it stood at the end.
        workflows: WORKFLOW_VIEW, shape (num_workflows,).
        counters: COUNTERS, one record.
        samples: SAMPLE, shape (num_samples,).
        node_samples: NODE_SAMPLE, shape (D, N), of the first D moments of ``samples``.
        residency_log: RESIDENCY_EVENT, shape (num_events,).
        node_state_s: float64, shape (N, NUM_NODE_STATES): time that each node spent in NODE_*.
        node_busy_s: float64, shape (N,): its engines' time in steps without the slowdown by neighbours, summed.
        end_s: Simulated time at the end.
        done: Why it ended.
        world: The fleet.
        model_names: Deployments, by id.
        node_names: By id.
        role_names: By ``stages.role`` of the episode.
        wall_s: Seconds of real time that the run took.
    """

    policy: str
    scenario: str
    contention: str
    split: str
    seed: int
    index: int
    episode: Episode
    stages: np.ndarray
    workflows: np.ndarray
    counters: np.void
    samples: np.ndarray
    node_samples: np.ndarray
    residency_log: np.ndarray
    node_state_s: np.ndarray
    node_busy_s: np.ndarray
    end_s: float
    done: str
    world: World
    model_names: tuple[str, ...]
    node_names: tuple[str, ...]
    role_names: tuple[str, ...]
    wall_s: float
