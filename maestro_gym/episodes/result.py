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
        policy: name of the policy.
        scenario: name of the scenario.
        contention: its level (low, medium, high), or its offered load.
        split: split of the episode.
        seed: seed of the environment.
        index: number of the episode.
        episode: the truth.
        stages: STAGE_VIEW, shape (num_stages,), as it stood at the end.
        workflows: WORKFLOW_VIEW, shape (num_workflows,).
        counters: COUNTERS, one record.
        samples: SAMPLE, shape (num_samples,).
        residency_log: RESIDENCY_EVENT, shape (num_events,).
        end_s: simulated time at the end.
        done: why it ended.
        world: the fleet.
        model_names: deployments, by id.
        node_names: by id.
        wall_s: seconds of real time that the run took.
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
    residency_log: np.ndarray
    end_s: float
    done: str
    world: World
    model_names: tuple[str, ...]
    node_names: tuple[str, ...]
    wall_s: float
