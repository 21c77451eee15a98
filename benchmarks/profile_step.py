"""Where the time of a step goes: the parts of the compiled code, timed one by one at the same pending decision.

An environment walks through an episode. Every so often the parts are called again and again on what is
pending then: they change nothing, so their cost can be taken alone. What a step costs beyond them is
events, admissions and planning of batches.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import cells
import numba
from machine import machine, machine_line, summary
from numba import types

from maestro_gym.cli.console import output, show_table, write_json
from maestro_gym.core.compile import INTERPRETED
from maestro_gym.envs.batch.buffers import RUNNER, Runner
from maestro_gym.envs.observation.observe import observe
from maestro_gym.sim.events import next_event_s, refresh_metrics

OBSERVE, GLOBAL_RULE, METRICS, NEXT_EVENT = range(4)
PARTS = ("observation", "one global rule", "metrics refresh", "next event")


def _part(runner: Runner, e: int, part: int, times: int) -> float:
    """Do one part of a step over and over; the sum keeps the compiler from leaving it out."""
    envs = runner.envs
    engine, buffers = envs.engine, envs.buffers
    state = engine.state
    total = 0.0
    for _ in range(times):
        if part == OBSERVE:
            workflows = int(buffers.outcome[e].arrived) - int(buffers.outcome[e].finished)
            observe(
                state.visible,
                envs.nothing,
                e,
                int(buffers.outcome[e].tier),
                workflows,
                envs.layout,
                buffers.heads[e],
                buffers.bands[e],
                buffers.keys[e],
                buffers.window[e],
                buffers.candidates[int(buffers.parity[0]), e],
                buffers.context[int(buffers.parity[0]), e],
                buffers.mask[e],
                buffers.codes[e],
            )
        elif part == GLOBAL_RULE:
            total += engine.global_rule(state.visible, engine.oracle, e)
        elif part == METRICS:
            refresh_metrics(state, e)
        else:
            total += next_event_s(state, e)
    return total


def _compile_part() -> Callable[[Any, int, int, int], float]:
    """Compile it as the package compiles its own: without reference counts, but not kept in the cache."""
    if INTERPRETED:
        return _part
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
    compiler: Any = numba.njit
    return compiler(types.float64(RUNNER, types.int64, types.int64, types.int64), **options)(_part)


def _walk(part: Callable[..., float], contention: str, companions: str, repeats: int) -> dict[str, Any]:
    """Medians over an episode of the cost of a step and of its parts, microseconds."""
    overrides = (f"contention={contention}",)
    env: Any = cells.gymnasium.make(
        "Maestro/Cluster-v0", overrides=overrides, companions=companions, disable_env_checker=True
    ).unwrapped
    env.reset(seed=cells.SEED)
    batch, noise = env.batch, cells.legal_noise(1, env.action_space.n)
    runner = batch._runner
    steps_us: list[float] = []
    ready: list[float] = []
    parts_us: dict[str, list[float]] = {name: [] for name in PARTS}
    decisions, k = int(batch.state.visible.clock[0]["decisions"]), 0
    while True:
        actions = (batch.buffers.mask * noise[k % len(noise)]).argmax(axis=1)
        begin = perf_counter()
        batch.step(actions)
        steps_us.append((perf_counter() - begin) * 1e6)
        k += 1
        if batch.outcome[0]["done"]:
            break
        if k % 50 == 0:
            ready.append(float(batch.state.visible.clock[0]["global_len"]))
            for index, name in enumerate(PARTS):
                begin = perf_counter()
                part(runner, 0, index, repeats)
                parts_us[name].append((perf_counter() - begin) / repeats * 1e6)
    decisions = int(batch.state.visible.clock[0]["decisions"]) - decisions
    row: dict[str, Any] = {"contention": contention, "companions": companions, "steps": len(steps_us)}
    row["ready stages"] = summary(ready)["median"]
    row["decisions a step"] = decisions / len(steps_us)
    row["step us"] = sum(steps_us) / len(steps_us)
    row.update({f"{name} us": sum(values) / len(values) for name, values in parts_us.items()})
    return row


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Say where the time of a step goes.")
    parser.add_argument("--repeats", type=int, default=200, help="calls of a part at one decision (default 200)")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    before = machine()
    part = _compile_part()
    rows = [
        _walk(part, contention, companions, arguments.repeats)
        for contention in ("low", "high")
        for companions in ("maestro", "fcfs", "random")
    ]
    show_table(
        "One environment of Maestro/Cluster-v0, quick: means over an episode",
        rows,
        "decisions a step: of all tiers, the agent's included; parts are timed alone, each call at a pending decision",
    )
    output().print(machine_line(before, os.getloadavg()[0]))
    write_json(arguments.json, {"machine": before, "profile": rows})


if __name__ == "__main__":
    main()
