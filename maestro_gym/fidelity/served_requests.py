"""Requests that a real vLLM served, with the kernels of its GPU (github.com/casys-kaist/LLMServingSim)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.documents import read_object
from maestro_gym.fidelity.folders import NO_MODEL, gpu_of_prefix
from maestro_gym.fidelity.kernel_tables import NotModelledError, kernel_tables
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.serving.replay_requests import one_node, replay

SERVING_FREE = ("gpu.step.step_const_s", "gpu.step.sequence_s", "limits.api_s")
FIT_FIRST = 100
"""Requests, by arrival, that constants may be fitted to; the others are scored."""
QUEUED_S = 0.05
"""A request that waits longer, more than a step, has queued."""
_MODELLED: Mapping[str, tuple[Any, ...]] = {
    "data_parallel_size": (1, None),
    "pipeline_parallel_size": (1, None),
    "enable_expert_parallel": (False, None),
    "dtype": ("bfloat16", "float16", "half", "auto", None),
    "kv_cache_dtype": ("auto", "bfloat16", "float16", None),
    "quantization": (None,),
    "speculative_config": (None,),
}
"""Engine arguments whose other values would make the replay another engine, and the values that it is."""
_TIMES = ("queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts")


def _read(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    for path in sorted(folder.glob("*/requests.jsonl")):
        _read_run(reading, path, catalogue)
    return reading


def _read_run(reading: Reading, path: Path, catalogue: Catalogue) -> None:
    rows = sorted(_lines(path), key=lambda row: row["queued_ts"])
    gpu = gpu_of_prefix(path.parent, len(rows), catalogue, reading)
    meta = read_object(path.parent / "meta.json", "with `model` and `engine_kwargs`")
    engine = meta.get("engine_kwargs", {})
    architecture = catalogue.model(str(meta.get("model", "")))
    if architecture is None:
        reading.skip(f"model {meta.get('model')}: {path.parent.name}", len(rows), NO_MODEL)
        return
    if gpu is None:
        return
    tp = int(engine.get("tensor_parallel_size", 1))
    seqs, budget = int(engine.get("max_num_seqs", 128)), int(engine.get("max_num_batched_tokens", 2048))
    queued, scheduled, first, last = (np.array([float(row[key]) for row in rows]) for key in _TIMES)
    prompt, output = (np.array([int(row[key]) for row in rows]) for key in ("input_toks", "output_toks"))
    machine = catalogue.machine(gpu)
    try:
        _refuse_unknown(engine)
        kernels = kernel_tables(path.parent, architecture, machine.gpu, tp, budget, seqs)
    except NotModelledError as error:
        reading.skip(f"run {path.parent.name}", len(rows), f"it cannot be replayed: {error}")
        return
    world = one_node(architecture, machine, tp, seqs, budget)
    tokens, sequences = np.arange(budget + 1), np.arange(seqs + 1)

    @lru_cache(maxsize=64)
    def served(step_const_s: float, sequence_s: float, api_s: float) -> tuple[np.ndarray, np.ndarray]:
        tables = kernels._replace(
            step_s=kernels.step_s + step_const_s * (tokens > 0), sample_s=kernels.sample_s + sequence_s * sequences
        )
        arrival_s = queued - queued[0]
        stages = replay(world, tables, arrival_s, prompt, output)
        return stages["first_token_s"] - arrival_s + api_s, stages["finished_s"] - arrival_s + api_s

    def run(on: Machine) -> tuple[np.ndarray, np.ndarray]:
        return served(on.gpu.step.step_const_s, on.gpu.step.sequence_s, on.limits.api_s)

    gaps = np.maximum(1, output - 1)
    waited = scheduled - queued > QUEUED_S
    case = path.parent.name

    def label(i: int) -> str:
        return f"{case}, request {i}: {prompt[i]} + {output[i]} tokens"

    seen = np.arange(len(rows)) < FIT_FIRST
    for quantity, measured, predict, chosen in (
        ("E2E", last - queued, lambda on: run(on)[1], None),
        ("TPOT", (last - first) / gaps, lambda on: (run(on)[1] - run(on)[0]) / gaps, output > 1),
        ("TTFT", first - queued, lambda on: run(on)[0], None),
        ("TTFT, queued", first - queued, lambda on: run(on)[0], waited),
        ("TTFT, unqueued", first - queued, lambda on: run(on)[0], ~waited),
    ):
        kept = measured if chosen is None else np.where(chosen, measured, np.nan)
        reading.add(quantity, case, gpu, kept, predict, label, seen=seen, count_blanks=False)


def _refuse_unknown(engine: Mapping[str, Any]) -> None:
    """Refuse an engine that a replay of one node with 16-bit weights is not."""
    for key, modelled in _MODELLED.items():
        if engine.get(key, modelled[0]) not in modelled:
            raise NotModelledError(f"engine_kwargs.{key} = {engine[key]!r} is not modelled")


def _lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            missing = [key for key in (*_TIMES, "input_toks", "output_toks") if key not in row]
        except (ValueError, TypeError) as error:
            raise MaestroError(f"{path}, line {number}: not a JSON object ({error}); mend or remove it.") from None
        if missing:
            raise MaestroError(f"{path}, line {number}: `{missing[0]}` is missing; every request has it.")
        rows.append(row)
    return rows


SOURCE = Source(
    name="llmservingsim",
    title="LLMServingSim's requests on a real vLLM, replayed with its kernel timings",
    read=_read,
    free={name: SERVING_FREE for name in ("E2E", "TPOT", "TTFT", "TTFT, queued", "TTFT, unqueued")},
)
