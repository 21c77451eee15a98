"""Requests replayed on one node by the simulator that the environments use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import ArchitectureConfig, ScenarioConfig
from maestro_gym.config.catalogue import Machine
from maestro_gym.schema import PREDICTION, STAGE, STAGE_HIDDEN, WORKFLOW, Episode, World
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.sim.performance import StepTables
from maestro_gym.sim.world import build_world

_NO_AGENT = 0
_DRAIN_S = 36_000.0
_FAR_S = 1e6
_NAME = "served"


class Requests(NamedTuple):
    """Requests by arrival.

    Attributes:
        arrival_s: float64, shape (requests,), rising from 0.
        prompt_tokens: int64, shape (requests,).
        output_tokens: int64, shape (requests,).
    """

    arrival_s: np.ndarray
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray


def one_node(
    architecture: ArchitectureConfig, on: Machine, tp: int, max_num_seqs: int, max_num_batched_tokens: int
) -> World:
    """The world of one node that serves one model, as stock vLLM does.

    Args:
        architecture: What runs.
        on: What it runs on.
        tp: GPUs of the node.
        max_num_seqs: Largest batch.
        max_num_batched_tokens: Largest step.

    Returns:
        The world.
    """
    group = {"count": 1, "host": _NAME, "nodes": 1, "gpu": _NAME, "tp": tp}
    config = ScenarioConfig.model_validate(
        {
            "fleet": {
                "clusters": [{"name": "one", "hosts": [group]}],
                "local_latency_s": 0.0,
                "link_bytes_per_s": 1e30,
            },
            "models": [{"name": _NAME, "architecture": _NAME}],
            "workload": {"family": "toy", "load": 1.0},
            "contention": "custom",
            "architectures": {_NAME: architecture.model_dump()},
            "gpus": {_NAME: on.gpu.model_dump()},
            "hosts": {_NAME: on.host.model_dump()},
            "horizon_s": _DRAIN_S,
            "limits": {
                "max_num_seqs": max_num_seqs,
                "max_num_batched_tokens": max_num_batched_tokens,
                "node_queue_limit": "inf",
                "memory_mode": "partitioned",
                "prefix_caching": False,
                "sample_period_s": 0.0,
                "api_s": 0.0,
            },
        }
    )
    return build_world(config)


def replay(world: World, tables: StepTables, requests: Requests) -> tuple[np.ndarray, np.ndarray]:
    """Serve requests first come, first served.

    Args:
        world: From `one_node`.
        tables: What a step takes; put in place of the world's own.
        requests: What arrives.

    Returns:
        Time to the first token and to the last, from arrival [s]: float64, shape (requests,) each.
    """
    served = world._replace(
        perf=np.full(world.perf.shape, tables.perf).view(np.recarray),
        step_s=np.broadcast_to(tables.step_s, world.step_s.shape).copy(),
        sample_s=np.broadcast_to(tables.sample_s, world.sample_s.shape).copy(),
    )
    simulation = Simulation(served, evaluation=True, warm=True, num_samples=0, log_residency=False)
    simulation.load(0, _episode(requests), key=0)
    run_until(open_engine(simulation, load_policy("fcfs")), 0, _NO_AGENT)
    stages = simulation.state.visible.stages[0, : len(requests.arrival_s)]
    return (
        np.array(stages["first_token_s"]) - requests.arrival_s,
        np.array(stages["finished_s"]) - requests.arrival_s,
    )


def _episode(requests: Requests) -> Episode:
    """One workflow of one call for each request; who serves it knows its length."""
    count = len(requests.arrival_s)
    workflows, stages = np.zeros(count, WORKFLOW), np.zeros(count, STAGE)
    hidden, predictions = np.zeros(count, STAGE_HIDDEN), np.zeros(count, PREDICTION)
    workflows["arrival_s"] = requests.arrival_s
    workflows["deadline_s"] = workflows["ttft_limit_s"] = requests.arrival_s + _FAR_S
    workflows["weight"], workflows["num_stages"] = 1.0, 1
    workflows["first_stage"] = stages["workflow"] = np.arange(count)
    stages["prompt_tokens"] = requests.prompt_tokens
    stages["max_output_tokens"] = hidden["output_tokens"] = requests.output_tokens
    stages["sys_group"] = stages["ctx_group"] = -1
    predictions["output_q50_tokens"] = predictions["output_q90_tokens"] = requests.output_tokens
    predictions["remaining_s_q50"] = predictions["remaining_s_q90"] = requests.output_tokens
    return Episode(workflows, stages, hidden, predictions, np.zeros(0, np.int64))
