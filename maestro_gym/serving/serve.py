"""Requests served on one node by the simulator that the environments use, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import ScenarioConfig
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.performance.validity import beyond_measured
from maestro_gym.sim.placement import all_fit
from maestro_gym.state import STAGE_FINISHED
from maestro_gym.workloads import TraceWorkload

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
ALL = "all"
"""Name of the row over all models."""
_SAMPLES = 20_000
Row = dict[str, Any]


class Served(NamedTuple):
    """What came of serving.

    Attributes:
        result: Log of the run.
        rate_rps: Requests that arrive a second.
        capacity_rps: Requests a second that the node can serve in the long run.
        notes: What the reader should know.
    """

    result: EpisodeResult
    rate_rps: float
    capacity_rps: float
    notes: tuple[str, ...]


def serve(config: ScenarioConfig, policy: str = "fcfs", seed: int = 0, *, trust: bool = False) -> Served:
    """Serve the requests of a one-node scenario; a trace is replayed whole, at its own times.

    All models are RUNNING at the start if they fit together, else the most popular.

    Args:
        config: From ``node_scenario``.
        policy: A name of ``maestro-gym policies``.
        seed: Of the requests that are drawn.
        trust: Whether a Python file that the policy's file names may be run.

    Returns:
        The log, and what to say of it.

    Raises:
        MaestroError: The trace does not fit the models, there is no such policy, or no request arrives.
    """
    scenario = Scenario(config)
    workload, episode = scenario.workload, None
    if isinstance(workload, TraceWorkload):
        episode = scenario.annotate(workload.whole(scenario.world.service))
    else:
        episode = scenario.episode("test", seed, 0)
    lengths = episode.stages["prompt_tokens"] + episode.hidden["output_tokens"]
    longest = int(lengths.max()) if len(lengths) else None
    notes = [*workload.notes, *beyond_measured(config, longest)]
    together = bool(all_fit(scenario.world)[0])
    if not together:
        notes.append(
            "The models do not fit the node together: those that are not RUNNING at the start wait for others to be "
            "idle, and for a load. Try --memory elastic, other --partitions, a higher --tp or a larger --gpu."
        )
    placement = np.ones((1, len(scenario.model_names)), bool) if together else None
    decides = load_policy(policy, scenario, trust=trust)
    result = run_episode(scenario, decides, seed=seed, samples=_SAMPLES, episode=episode, placement=placement)
    left = len(result.stages) - int((result.stages["phase"] == STAGE_FINISHED).sum())
    if left:
        notes.append(f"{left} calls were not finished when the run ended ({result.done}); latencies leave them out.")
    span_s = float(episode.workflows["arrival_s"][-1])
    rate_rps = scenario.rate_rps
    if isinstance(workload, TraceWorkload):
        rate_rps = (len(episode.workflows) - 1) / span_s if span_s > 0 else float("inf")
    return Served(result, rate_rps, scenario.capacity_rps, tuple(notes))


def latency_rows(result: EpisodeResult) -> list[Row]:
    """Latencies of finished calls, by model and of all.

    TTFT runs from readiness to the first token, E2E to the last; ITL is a call's mean gap between tokens, (E2E -
    TTFT) / (output tokens - 1), of calls with two or more (what vLLM's benchmark calls TPOT).

    Args:
        result: Log of a run.

    Returns:
        Rows of model, quantity, calls, mean and quantiles [s].
    """
    stages = result.stages
    to_first = stages["first_token_s"] - stages["ready_s"]
    to_last = stages["finished_s"] - stages["ready_s"]
    output = result.episode.hidden["output_tokens"]
    done = stages["phase"] == STAGE_FINISHED
    with np.errstate(invalid="ignore"):
        gap = (to_last - to_first) / np.maximum(1, output - 1)
    rows = []
    for name, own in _groups(result).items():
        for quantity, seconds, counted in (
            ("ttft_s", to_first, done),
            ("itl_s", gap, done & (output > 1)),
            ("e2e_s", to_last, done),
        ):
            values = seconds[own & counted]
            empty = not len(values)
            row: Row = {"model": name, "quantity": quantity, "calls": len(values)}
            row["mean"] = None if empty else float(values.mean())
            row |= {key: None if empty else float(np.quantile(values, q)) for key, q in QUANTILES.items()}
            rows.append(row)
    return rows


def throughput_rows(result: EpisodeResult) -> list[Row]:
    """What was done, by model and of all, over the time from the start to the last answer.

    Args:
        result: Log of a run.

    Returns:
        Rows; the prefix hit rate is of the prompt tokens of admitted calls, at their last admission.
    """
    stages, truth = result.stages, result.episode
    done = stages["phase"] == STAGE_FINISHED
    admitted = np.isfinite(stages["admitted_s"])
    prompt, output = truth.stages["prompt_tokens"], truth.hidden["output_tokens"]
    rows = []
    for name, own in _groups(result).items():
        finished = own & done
        asked = int(prompt[own & admitted].sum())
        rows.append(
            {
                "model": name,
                "calls": int(own.sum()),
                "finished": int(finished.sum()),
                "calls_per_s": finished.sum() / result.end_s,
                "prompt_tokens_per_s": prompt[finished].sum() / result.end_s,
                "output_tokens_per_s": output[finished].sum() / result.end_s,
                "prefix_hit_rate": stages["prefix_hit_tokens"][own & admitted].sum() / max(1, asked),
                "preemptions": int(stages["preemptions"][own].sum()),
            }
        )
    return rows


def node_facts(served: Served) -> Row:
    """What the node went through; bytes are of one GPU.

    Args:
        served: From ``serve``.

    Returns:
        Facts by name. Means of KV memory are integrals over the run; its peak and the pool are of samples.
    """
    result = served.result
    counters, samples = result.counters, result.samples
    pool_gb = float(samples["kv_pool_bytes"].mean()) / 1e9 if len(samples) else float("nan")
    used_gb = float(counters["kv_used_byte_s"]) / result.end_s / 1e9
    return {
        "offered_rps": served.rate_rps,
        "capacity_rps": served.capacity_rps,
        "end_s": result.end_s,
        "busy": float(counters["busy_s"]) / result.end_s,
        "kv_pool_gb": pool_gb,
        "kv_used_mean_gb": used_gb,
        "kv_reserved_mean_gb": float(counters["kv_reserved_byte_s"]) / result.end_s / 1e9,
        "kv_used_peak_gb": float(samples["kv_used_bytes"].max(initial=0.0)) / 1e9,
        "kv_use": used_gb / pool_gb if pool_gb > 0 else float("nan"),
        "preemptions": int(counters["preemptions"]),
        "recomputed_tokens": int(counters["recomputed_tokens"]),
        "cold_starts": int(counters["cold_starts"]),
        "wakes": int(counters["wakes"]),
        "ended": result.done,
    }


def _groups(result: EpisodeResult) -> Mapping[str, np.ndarray]:
    """Which calls count for a row: bool, shape (calls,)."""
    model = result.episode.stages["model"]
    groups = {name: model == i for i, name in enumerate(result.model_names)}
    return groups if len(groups) == 1 else {**groups, ALL: np.ones(len(model), bool)}
