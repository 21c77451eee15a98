"""Episode results made by hand, small enough to work every metric out on paper."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pandas as pd

from maestro_gym import state
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.report.episode_trace import trace_of, workflow_table

GB = 1e9
INF = np.inf


def world(horizon_s: float = 20.0, cap_s: float = 100.0) -> SimpleNamespace:
    nodes = np.zeros(2, state.NODE_SPEC)
    nodes["hbm_pool_bytes"] = 50 * GB
    nodes["usd_per_h"] = 3.6, 14.4
    nodes["max_w"] = 360.0, 720.0
    nodes["gpus"], nodes["board"] = (1, 2), -1
    service = np.zeros(2, state.SERVICE)
    service["prefill_base_s"], service["decode_s_per_token"] = 0.1, 0.05
    params = np.zeros(1, state.PARAMS)
    params["horizon_s"], params["drain_cap_s"] = horizon_s, cap_s
    models, perf = np.zeros(2, state.MODEL_SPEC), np.zeros((1, 2), state.PERF)
    models["arch"], models["max_model_len"] = (0, 1), (10_000, 40_000)
    perf["kv_bytes_per_token"] = 1e6, 2e6
    tenants = np.ones(2, state.TENANT_SPEC)
    return SimpleNamespace(
        nodes=nodes,
        service=service,
        params=params,
        models=models,
        perf=perf,
        tenants=tenants,
        tools=np.array([(2,)], state.TOOL_SPEC),
    )


def episode() -> state.Episode:
    """Two interactive workflows (a chain of two stages, a single stage) and a batch chain of two."""
    workflows = np.zeros(3, state.WORKFLOW)
    workflows["arrival_s"] = 0.0, 1.0, 2.0
    workflows["deadline_s"] = 10.0, 6.0, 50.0
    workflows["ttft_limit_s"] = 2.5, 4.0, 1.0
    workflows["cls"] = state.INTERACTIVE, state.INTERACTIVE, state.BATCH
    workflows["tenant"] = 0, 1, 0
    workflows["first_stage"], workflows["num_stages"] = (0, 2, 3), (2, 1, 2)
    stages = np.zeros(5, state.STAGE)
    stages["workflow"], stages["model"] = (0, 0, 1, 2, 2), (0, 1, 0, 1, 1)
    stages["prompt_tokens"] = 95, 9998, 89, 50, 60
    hidden = np.zeros(5, state.STAGE_HIDDEN)
    hidden["output_tokens"] = 5, 2, 11, 20, 20
    hidden["tool_gap_s"] = 0.5, 0.0, 0.0, 0.0, 0.0
    hidden["remaining_s"] = 4.5, 2.0, 2.0, 49.0, 20.0
    hidden["num_children"], hidden["child_start"] = (1, 0, 0, 1, 0), (0, 1, 1, 1, 2)
    predictions = np.zeros(5, state.PREDICTION)
    predictions["output_q50_tokens"] = 8, 2, 1, 30, 40
    predictions["remaining_s_q50"] = 4.5, 1.0, 4.0, 147.0, 9.0  # at the first stages: true, doubled, tripled
    return state.Episode(workflows, stages, hidden, predictions, np.array([1, 4]))


def stage_views() -> np.ndarray:
    stages = np.zeros(5, state.STAGE_VIEW)
    stages["ready_s"] = 0.0, 5.0, 1.0, 2.0, INF
    stages["queued_s"] = 0.5, 5.0, 1.0, 2.0, INF
    stages["admitted_s"] = 1.0, 6.0, 3.0, 40.0, INF
    stages["first_token_s"] = 2.0, 8.0, 5.0, 30.0, INF
    stages["finished_s"] = 4.0, 9.0, 7.0, INF, INF
    # The first stage calls a tool: it asks at 4 s, waits half a second for a place and holds it for another half.
    stages["tool"], stages["tool_started_s"] = (0, -1, -1, -1, -1), (4.5, INF, INF, INF, INF)
    # The fourth was prefilled and handed over by one node, and is admitted by another.
    stages["handed_over_s"] = stages["prefill_admitted_s"] = INF, INF, INF, 30.0, INF
    stages["generated_tokens"] = 5, 2, 11, 7, 0
    stages["node"] = 0, 0, 1, 1, -1
    stages["model"] = 0, 1, 0, 1, 0
    finished, running, future = state.STAGE_FINISHED, state.STAGE_RUNNING, state.STAGE_FUTURE
    stages["phase"] = finished, finished, finished, running, future
    stages["preemptions"] = 0, 0, 0, 1, 0
    return stages


def counters() -> np.void:
    record = np.zeros(1, state.COUNTERS)
    record["kv_reserved_byte_s"], record["kv_used_byte_s"], record["kv_virtual_byte_s"] = 400 * GB, 300 * GB, 1000 * GB
    record["weights_byte_s"], record["busy_s"] = 2200 * GB, 50.0
    record["kv_reserved_peak_bytes"], record["kv_virtual_peak_bytes"] = 30 * GB, 90 * GB
    record["prompt_tokens"], record["cached_tokens"] = 1000, 250
    record["cold_starts"], record["wakes"], record["sleeps"], record["demotions"] = 3, 2, 1, 4
    record["preemptions"], record["boundary_preemptions"], record["oom_events"] = 1, 5, 6
    record["transfers"], record["transfer_bytes"], record["transfer_s"] = 4, 6 * GB, 0.5
    record["restarts"], record["wasted_tokens"], record["node_starts"], record["resent"] = 7, 123, 2, 5
    record["regroups"] = 3
    return record[0]


def samples() -> np.ndarray:
    table = np.zeros(4, state.SAMPLE)
    table["time_s"] = 0.0, 30.0, 60.0, 90.0
    table["kv_reserved_bytes"], table["kv_used_bytes"] = (0, 20 * GB, 30 * GB, 5 * GB), (0, 9 * GB, 25 * GB, 5 * GB)
    table["kv_virtual_bytes"], table["kv_pool_bytes"] = (0, 60 * GB, 90 * GB, 9 * GB), 70 * GB
    return table


def node_samples() -> np.ndarray:
    """Two nodes at the moments of the samples, which share the fleet's KV memory as 2 to 1."""
    table, fleet = np.zeros((4, 2), state.NODE_SAMPLE), samples()
    for name in ("kv_reserved_bytes", "kv_used_bytes", "kv_pool_bytes"):
        table[name] = fleet[name][:, None] * (2 / 3, 1 / 3)
    table["running"], table["queued"] = ((0, 0), (0, 1), (0, 1), (0, 0)), ((0, 0), (1, 0), (0, 0), (0, 0))
    return table


def residency() -> np.ndarray:
    log = np.zeros(3, state.RESIDENCY_EVENT)
    log["time_s"], log["node"], log["model"] = (0.0, 20.0, 60.0), (1, 1, 0), (1, 0, 0)
    log["source"] = state.CPU, state.RUNNING, state.RUNNING
    log["target"] = state.RUNNING, state.SLEEPING, state.CPU
    return log


def node_state_s() -> np.ndarray:
    """Of 100 s the first node was ready in all; the second was off for 50, started for 10 and had failed for 10."""
    table = np.zeros((2, state.NUM_NODE_STATES))
    table[0, state.NODE_READY] = 100.0
    table[1, [state.NODE_READY, state.NODE_OFF, state.NODE_STARTING, state.NODE_FAILED]] = 30.0, 50.0, 10.0, 10.0
    return table


def make_result(policy: str = "fcfs", seed: int = 0, contention: str = "high", delay_s: float = 0.0) -> SimpleNamespace:
    """The hand-made result; ``delay_s`` puts off the ends of all finished stages and workflows."""
    stages = stage_views()
    stages["finished_s"] += delay_s
    workflows = np.zeros(3, state.WORKFLOW_VIEW)
    workflows["finished_s"] = 9.0 + delay_s, 7.0 + delay_s, INF
    workflows["rejected_s"] = INF
    return SimpleNamespace(
        policy=policy,
        scenario="tiny",
        contention=contention,
        split="test",
        seed=seed,
        index=0,
        episode=episode(),
        stages=stages,
        workflows=workflows,
        counters=counters(),
        samples=samples(),
        node_samples=node_samples(),
        residency_log=residency(),
        node_state_s=node_state_s(),
        node_busy_s=np.array([20.0, 10.0]),
        end_s=100.0,
        done="time limit",
        world=world(),
        model_names=["coder-8b", "planner-14b"],
        node_names=["east/0", "east/1"],
        role_names=["planner", "writer"],
        wall_s=0.25,
    )


def make_comparison(names: Sequence[str] = ("fcfs", "<edf>"), contentions: Sequence[str] = ("high",)) -> Comparison:
    """Policies of which each is a second later than the one before, on two seeds."""
    results = [
        make_result(name, seed, contention, delay_s=late + seed)
        for contention in contentions
        for late, name in enumerate(names)
        for seed in (0, 1)
    ]
    config = "name: tiny\nhorizon_s: 20.0\n"
    return Comparison(
        rows=pd.DataFrame([result_row(result) for result in results]),
        workflows=pd.concat([workflow_table(result) for result in results]),
        traces=[trace_of(result) for result in results if result.seed == 0],
        settings=[
            Setting("tiny", contention, 1.1 - place / 10, 2.2, config, ("seven calls were clipped",))
            for place, contention in enumerate(contentions)
        ],
        policies=[PolicyLabel(name, tuple(f"{name} {r}" for r in "gcnr"), "N", name != "fcfs") for name in names],
        reference="fcfs",
        seeds=[0, 1],
        split="test",
        info={"command": "compare.py --policy fcfs", "versions": {"numpy": "2"}, "machine": "a", "created": "today"},
    )
