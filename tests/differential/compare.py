"""Two runs of one case side by side: what must be the same, and the first thing that is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from maestro_gym.state import NODE_STATE_NAMES
from tests.differential.cases import Case
from tests.differential.engine_run import EngineRun, begin, run_engine, stage_times
from tests.reference.choosing import Asked, Temper, choose
from tests.reference.simulator import Run, run_reference

TIME_S = 1e-6
BYTES = 1.0

COUNTERS = (
    "arrived",
    "finished",
    "rejected",
    "weighted_residence",
    "slo_met_weight",
    "slo_missed_weight",
    "ttft_met_weight",
    "ttft_missed_weight",
    "stages_finished",
    "prompt_tokens",
    "cached_tokens",
    "output_tokens",
    "recomputed_tokens",
    "cold_starts",
    "wakes",
    "sleeps",
    "demotions",
    "preemptions",
    "boundary_preemptions",
    "oom_events",
    "growths",
    "invalid_actions",
    "node_failures",
    "restarts",
    "wasted_tokens",
    "resent",
    "node_starts",
    "node_stops",
    "transfers",
    "transfer_bytes",
    "transfer_s",
    "regroups",
    "kv_reserved_byte_s",
    "kv_virtual_byte_s",
    "weights_byte_s",
    "busy_s",
    "kv_reserved_peak_bytes",
    "kv_virtual_peak_bytes",
)


def run_both(case: Case) -> tuple[EngineRun, Run]:
    """Run a case in the engine and in the reference."""
    simulation, start = begin(case)
    engine = run_engine(case, simulation)
    reference = run_reference(case.world, case.episode, start, partial(_choose, temper=case.temper))
    return engine, reference


def _choose(asked: Asked, temper: Temper) -> tuple[str, int, int]:
    return choose(asked, temper)


def check_same(engine: EngineRun, reference: Run) -> None:
    """Assert that two runs agree: decisions, memory, times, residency, preemptions, counts."""
    for mine, its in zip(reference.records, engine.records, strict=False):
        where = f"at decision {mine.asked.number}, {mine.time_s:.6f} s"
        assert mine.asked == its.asked, f"{where}: asked\n  reference {mine.asked}\n  engine    {its.asked}"
        assert abs(mine.time_s - its.time_s) <= TIME_S, f"{where}: the engine's clock is at {its.time_s} s"
        assert mine.router == its.router, f"{where}: router: reference {mine.router}, engine {its.router}"
        _check_rows(mine.memory, its.memory, f"{where}: nodes")
        _check_rows(mine.engines, its.engines, f"{where}: engines")
        _check_rows(mine.known, its.known, f"{where}: what routers know")
    assert len(reference.records) == len(engine.records)
    assert reference.done == engine.done
    _check_rows(reference.state.residency_log, engine.residency_log, "residency log")
    state = engine.simulation.state
    for stage in reference.state.stages:
        row, name = state.visible.stages[0, stage.id], f"stage {stage.id}"
        _check_times(stage.times, stage_times(engine.simulation, stage.id), name)
        mine = (stage.preemptions, stage.restarts, stage.growths, stage.prefix_hit)
        its = tuple(int(row[of]) for of in ("preemptions", "restarts", "growths", "prefix_hit_tokens"))
        assert mine == its, f"{name}: preemptions, restarts, growths, prefix hit: reference {mine}, engine {its}"
    for number, finished_s in enumerate(reference.state.finished_s):
        its_s = float(state.visible.workflows[0, number]["finished_s"])
        assert _close(finished_s, its_s, TIME_S), f"workflow {number}: reference {finished_s}, engine {its_s}"
        rejected_s, its_s = reference.state.rejected_s[number], float(state.visible.workflows[0, number]["rejected_s"])
        assert _close(rejected_s, its_s, TIME_S), f"workflow {number}: rejected {rejected_s}, engine {its_s}"
    for node in reference.state.nodes:
        mine = [node.spent_s.get(life, 0.0) for life in NODE_STATE_NAMES]
        np.testing.assert_allclose(mine, state.core.node_state_s[0, node.id], atol=TIME_S)
    for name in COUNTERS:
        mine, its = reference.state.counters.get(name, 0), float(state.core.counters[0][name])
        assert _close(mine, its, max(TIME_S, 1e-9 * abs(its))), f"counter {name}: reference {mine}, engine {its}"
    for tenant, row in enumerate(state.visible.tenants[0]):
        waiting = sum(stage.job.tenant == tenant for stage in reference.state.queue)
        assert row["ready"] == waiting, f"tenant {tenant}: reference has {waiting} waiting, engine {row['ready']}"
        for name in ("prompt_tokens", "cached_tokens", "output_tokens", "admitted", "answered"):
            mine = reference.state.counters.get(f"{name} of tenant {tenant}", 0)
            assert mine == row[name], f"{name} of tenant {tenant}: reference {mine}, engine {row[name]}"

    for tool, row in enumerate(state.visible.tools[0]):
        mine = len(reference.state.tool_calls[tool]), len(reference.state.tool_queues[tool])
        assert mine == (row["busy"], row["queued"]), f"tool {tool}: busy, queued: reference {mine}, engine {row}"


def _close(mine: float, its: float, tolerance: float) -> bool:
    return mine == its or abs(mine - its) <= tolerance or (math.isinf(mine) and math.isinf(its))


def _check_times(mine: dict[str, float], its: dict[str, float], what: str) -> None:
    same = mine.keys() == its.keys() and all(_close(mine[name], its[name], TIME_S) for name in mine)
    assert same, f"{what}:\n  reference {mine}\n  engine    {its}"


def _check_rows(mine: Sequence[tuple[object, ...]], its: Sequence[tuple[object, ...]], what: str) -> None:
    """Rows of names and numbers; times and bytes may differ by rounding."""
    for row, other in zip(mine, its, strict=False):
        for a, b in zip(row, other, strict=True):
            rounding = TIME_S if isinstance(a, float) and abs(a) < 1e5 else BYTES
            same = _close(a, b, rounding) if isinstance(a, float) and isinstance(b, float) else a == b
            assert same, f"{what}:\n  reference {row}\n  engine    {other}"
    assert len(mine) == len(its), f"{what}: reference {len(mine)} rows, engine {len(its)}"
