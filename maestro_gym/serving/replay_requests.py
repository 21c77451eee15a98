"""Requests replayed on one node by the simulator that the environments use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import ArchitectureConfig, PredictorConfig
from maestro_gym.config.catalogue import Machine
from maestro_gym.episodes.run import play
from maestro_gym.episodes.world import build_world
from maestro_gym.performance.step_tables import StepTables
from maestro_gym.predictors import annotate
from maestro_gym.scheduling.policy import Policy
from maestro_gym.serving.node_scenario import DRAIN_S, Deployed, node_scenario
from maestro_gym.state import World
from maestro_gym.workloads import Requests, request_episode

_FAR_S = 1e6


def one_node(
    architecture: ArchitectureConfig,
    on: Machine,
    tp: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    limits: Mapping[str, Any] | None = None,
) -> World:
    """The world of one node that serves one model, as stock vLLM does.

    Args:
        architecture: What runs.
        on: What it runs on.
        tp: GPUs of the node.
        max_num_seqs: Largest batch.
        max_num_batched_tokens: Largest step.
        limits: Further ones, keys of ``LimitsConfig``.

    Returns:
        The world.
    """
    all_limits = {
        **(limits or {}),
        "max_num_seqs": max_num_seqs,
        "max_num_batched_tokens": max_num_batched_tokens,
        "memory_mode": "partitioned",
        "prefix_caching": False,
        "api_s": 0.0,
    }
    # What arrives is put in later; the world does not depend on it.
    workload = {"requests": {"prompt_tokens": 1, "output_tokens": 1}, "rate_rps": 1.0}
    models = [Deployed("replayed", architecture)]
    return build_world(node_scenario(models, on, tp=tp, limits=all_limits, workload=workload, horizon_s=DRAIN_S))


@cache
def _first_come() -> Policy:
    # Once a process: loading compiled rules takes longer than serving a hundred requests.
    return load_policy("fcfs")


def replay(
    world: World, tables: StepTables, arrival_s: np.ndarray, prompt_tokens: np.ndarray, output_tokens: np.ndarray
) -> np.ndarray:
    """Serve requests first come, first served.

    Args:
        world: From `one_node`.
        tables: What a step takes; put in place of the world's own.
        arrival_s: float64, shape (requests,), rising from 0.
        prompt_tokens: int64, shape (requests,).
        output_tokens: int64, shape (requests,).

    Returns:
        STAGE_VIEW, shape (requests,): when each was admitted, had its first token, and was finished.
    """
    served = world._replace(
        perf=np.full(world.perf.shape, tables.perf).view(np.recarray),
        step_s=np.broadcast_to(tables.step_s, world.step_s.shape).copy(),
        sample_s=np.broadcast_to(tables.sample_s, world.sample_s.shape).copy(),
        decode=np.broadcast_to(tables.decode, world.decode.shape).copy().view(np.recarray),
    )
    nothing, nobody = np.zeros(len(arrival_s), np.int64), np.full(len(arrival_s), -1)
    requests = Requests(arrival_s, nothing, prompt_tokens, output_tokens, output_tokens, nobody, nothing)
    episode = request_episode(requests, _FAR_S, _FAR_S, world.service)
    known = annotate(episode, world.service, PredictorConfig(kind="oracle"), key=0)
    return play(served, known, _first_come()).state.visible.stages[0, : len(arrival_s)]
