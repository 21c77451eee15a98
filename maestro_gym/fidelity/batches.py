"""Whole batches on an otherwise idle engine: TensorRT-LLM (Argonne) and the vLLM of 2023 (Splitwise)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maestro_gym.config import ArchitectureConfig
from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.fidelity.folders import gpu_and_model
from maestro_gym.fidelity.frames import read_table
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s

ENGINE_FREE = ("gpu.step.step_const_s", "gpu.step.sequence_s")
CHUNK_TOKENS = 8192
"""Tokens of a prefill step: the default of TensorRT-LLM's max_num_tokens."""


def batch_latency_s(
    architecture: ArchitectureConfig, on: Machine, tp: int, batch: int, prompt: int, output: int, tables: StepTables
) -> float:
    """Time until the last of a batch of equal requests ends.

    As many run at once as whole requests fit beside the weights, the rest follow in waves.

    Args:
        architecture: What runs.
        on: What it runs on.
        tp: GPUs of the node.
        batch: Requests, at most `max_num_seqs` of `tables`.
        prompt: Tokens of each prompt.
        output: Tokens that each generates.
        tables: Step tables with at least CHUNK_TOKENS tokens.

    Returns:
        Seconds.
    """
    fitting = int(kv_tokens(architecture, on, tp) // (prompt + output))
    at_once = max(1, min(batch, fitting))
    waves, rest = divmod(batch, at_once)
    seconds = waves * _wave_s(tables, at_once, prompt, output)
    return seconds + (_wave_s(tables, rest, prompt, output) if rest else 0.0)


def kv_tokens(architecture: ArchitectureConfig, on: Machine, tp: int) -> float:
    """KV tokens that fit beside the weights and the margin of an engine.

    Args:
        architecture: What runs.
        on: What it runs on, and the limits of the engine.
        tp: GPUs of the node.

    Returns:
        Tokens.
    """
    pool_bytes = on.gpu.usable_hbm_bytes * on.limits.gpu_memory_utilization - on.limits.margin_gb * 1e9
    return (pool_bytes - architecture.weight_bytes_per_gpu(tp)) / architecture.kv_bytes_per_token_per_gpu(tp)


def _wave_s(tables: StepTables, batch: int, prompt: int, output: int) -> float:
    """Prefill all prompts in full steps, then decode them together; a step is affine in its context."""
    seconds, started = 0.0, 0
    packed = max(1, CHUNK_TOKENS // prompt)
    chunks = [(min(CHUNK_TOKENS, prompt - past), past) for past in range(0, prompt, CHUNK_TOKENS)]
    while started < batch:
        count = min(packed, batch - started)
        for position, chunk in enumerate(chunks):
            ends = position == len(chunks) - 1
            seconds += step_time_s(tables, [chunk] * count, [], sampling_prefills=count if ends else 0)
        started += count
    middle = round(prompt + output / 2)
    return seconds + (output - 1) * step_time_s(tables, [], [middle] * batch)


def _read_argonne(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    numbers = ["Num of Hardware", "Input Output Length", "Batch Size", "Latency", "Throughput"]
    for path in sorted(folder.glob("*.csv")):
        table = read_table(path, numbers, ["Hardware", "Framework", "Model"])
        for key, rows in table.groups(["Hardware", "Num of Hardware", "Framework", "Model"]):
            hardware, tp, framework, model = str(key[0]), int(key[1]), str(key[2]), str(key[3])
            known = gpu_and_model(hardware, model, len(rows), catalogue, reading)
            if known is None:
                continue
            gpu, architecture = known
            length, batch = rows.integers("Input Output Length", "Batch Size")
            latency_s, tokens_per_s = rows.floats("Latency", "Throughput")

            def predict(
                on: Machine,
                a: ArchitectureConfig = architecture,
                tp: int = tp,
                b: np.ndarray = batch,
                n: np.ndarray = length,
            ) -> np.ndarray:
                tables = step_tables(a, on.gpu, tp, CHUNK_TOKENS, int(b.max()), on.limits.moe_kernel)
                pairs = zip(b, n, strict=True)
                return np.array([batch_latency_s(a, on, tp, int(x), int(y), int(y), tables) for x, y in pairs])

            kind = "MoE" if architecture.experts else "dense"
            case = f"{model.rsplit('/', 1)[-1]} tp {tp}, {framework}"

            def label(i: int, case: str = case, b: np.ndarray = batch, n: np.ndarray = length) -> str:
                return f"{case}, {b[i]} requests of {n[i]} + {n[i]} tokens"

            total = 2.0 * batch * length
            reading.add(f"latency, {kind}", case, gpu, latency_s, predict, label)
            reading.add(
                f"throughput, {kind}",
                case,
                gpu,
                tokens_per_s,
                lambda on, predict=predict, total=total: total / predict(on),
                label,
            )
    return reading


def _read_splitwise(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    keys = ["model", "hardware", "tensor_parallel"]
    sizes = ["prompt_size", "batch_size", "token_size"]
    for path in sorted(folder.glob("*.csv")):
        times = ["prompt_time", "token_time"]
        table = read_table(path, [*sizes, *times, "tensor_parallel"], ["model", "hardware"])
        for key, rows in table.medians([*keys, *sizes], times).groups(keys):
            model, hardware, tp = str(key[0]), str(key[1]), int(key[2])
            known = gpu_and_model(hardware, model, len(rows), catalogue, reading)
            if known is None:
                continue
            gpu, architecture = known
            prompt, batch, output = rows.integers(*sizes)

            def predict(
                on: Machine,
                a: ArchitectureConfig = architecture,
                tp: int = tp,
                p: np.ndarray = prompt,
                b: np.ndarray = batch,
                o: np.ndarray = output,
                prefill: bool = True,
            ) -> np.ndarray:
                tokens = int((p * b).max()) if prefill else int(b.max())
                tables = step_tables(a, on.gpu, tp, tokens, int(b.max()), on.limits.moe_kernel)
                if prefill:
                    pairs = zip(p, b, strict=True)
                    return np.array([step_time_s(tables, [(int(x), 0)] * int(y), [], int(y)) for x, y in pairs])
                mean = [(int(x + z // 2), int(y)) for x, y, z in zip(p, b, o, strict=True)]
                return np.array([step_time_s(tables, [], [context] * count) for context, count in mean])

            case = f"{model} tp {tp}"

            def label(
                i: int, case: str = case, p: np.ndarray = prompt, b: np.ndarray = batch, o: np.ndarray = output
            ) -> str:
                return f"{case}, {b[i]} prompts of {p[i]}, {o[i]} tokens"

            prompts_s, tokens_s = (milliseconds * 1e-3 for milliseconds in rows.floats(*times))
            single = batch == 1
            for quantity, chosen in (("prompt time, one request", single), ("prompt time, batched", ~single)):
                if chosen.any():
                    at = np.flatnonzero(chosen)
                    reading.add(
                        quantity,
                        case,
                        gpu,
                        prompts_s[at],
                        lambda on, at=at, predict=predict: predict(on)[at],
                        lambda i, at=at, label=label: label(int(at[i])),
                    )
            reading.add(
                "token time", case, gpu, tokens_s, lambda on, predict=predict: predict(on, prefill=False), label
            )
    return reading


ARGONNE = Source(
    name="argonne_llm_inference_bench",
    title="LLM-Inference-Bench (github.com/argonne-lcf/LLM-Inference-Bench): batches on TensorRT-LLM",
    read=_read_argonne,
    free={
        "latency, dense": ENGINE_FREE,
        "throughput, dense": ENGINE_FREE,
        "latency, MoE": ENGINE_FREE,
        "throughput, MoE": ENGINE_FREE,
    },
    unit={"throughput, dense": "tokens/s", "throughput, MoE": "tokens/s"},
)
SPLITWISE = Source(
    name="splitwise",
    title="Splitwise (github.com/Mutinifni/splitwise-sim): vLLM of 2023 without CUDA graphs",
    read=_read_splitwise,
    free={
        "prompt time, one request": ENGINE_FREE,
        "prompt time, batched": ENGINE_FREE,
        "token time": ENGINE_FREE,
    },
)
