"""DistServe's profile (github.com/LLMServe/DistServe, simdistserve): fitted step times, and KV capacities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.config import ArchitectureConfig
from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.batches import ENGINE_FREE, kv_tokens
from maestro_gym.fidelity.documents import read_object
from maestro_gym.fidelity.folders import gpu_and_model
from maestro_gym.fidelity.frames import read_table
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.performance.step_tables import step_tables, step_time_s

PROMPTS = (128, 256, 512, 1024, 1536, 2048)
"""Lengths at which the prefill line is read: one prompt, within the context of the models that were profiled."""
BATCHES = (1, 8, 32, 64, 94, 128)
CONTEXTS = (256, 1024)
"""Sequences, and their length, at which the decoding lines are read."""


def _read(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    gpus = []
    for path in sorted(folder.glob("profiler-*.*.json")):
        gpu, framework = path.name.removeprefix("profiler-").split(".")[:2]
        gpus.append(gpu)
        for model, degrees in read_object(path, "of models by TP degree").items():
            known = gpu_and_model(gpu, model, len(degrees), catalogue, reading)
            if known is not None:
                for tp, lines in degrees.items():
                    _read_lines(reading, path, framework, model.rsplit("/", 1)[-1], known, int(tp), lines)
    # The table of capacities does not say which GPU it is of: that of the lines beside it.
    for path in sorted(folder.glob("max_num_tokens.csv")) if gpus else ():
        _read_capacity(reading, path, gpus[0], catalogue)
    return reading


def _read_lines(
    reading: Reading,
    path: Path,
    framework: str,
    model: str,
    known: tuple[str, ArchitectureConfig],
    tp: int,
    lines: dict[str, Any],
) -> None:
    """Read the fitted lines of a model at one TP degree, in ms, at the sizes above."""
    (gpu, a), case = known, f"{model} tp {tp}"
    try:
        threshold = int(lines["decoding_large_small_bs_threshold"])
        prefill, small, large = (
            np.array(lines[name], np.float64) for name in ("prefill", "decoding_smallbs", "decoding_largebs")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MaestroError(f"{path}: {case}: lacks or mistypes {error}; every degree has three lines.") from None
    prompt = np.array(PROMPTS, np.float64)
    pairs = [(batch, context) for batch in BATCHES for context in CONTEXTS]
    measured = [_line(small if batch < threshold else large, batch * context, batch) for batch, context in pairs]

    def predict_prompt(on: Machine) -> np.ndarray:
        tables = step_tables(a, on.gpu, tp, max(PROMPTS), max(BATCHES), on.limits.moe_kernel)
        return np.array([step_time_s(tables, [(length, 0)], [], 1) for length in PROMPTS])

    def predict_token(on: Machine) -> np.ndarray:
        tables = step_tables(a, on.gpu, tp, max(PROMPTS), max(BATCHES), on.limits.moe_kernel)
        return np.array([step_time_s(tables, [], [context] * batch) for batch, context in pairs])

    reading.add(
        f"prompt time, {framework}",
        case,
        gpu,
        1e-3 * _line(prefill, prompt, prompt**2),
        predict_prompt,
        lambda i: f"{case}, prompt of {PROMPTS[i]}",
    )
    reading.add(
        f"token time, {framework}",
        case,
        gpu,
        1e-3 * np.array(measured),
        predict_token,
        lambda i: f"{case}, {pairs[i][0]} sequences of {pairs[i][1]}",
    )


def _line(terms: np.ndarray, first: Any, second: Any) -> Any:  # noqa: ANN401 - numbers or arrays
    return terms[0] + terms[1] * first + terms[2] * second


def _read_capacity(reading: Reading, path: Path, gpu_name: str, catalogue: Catalogue) -> None:
    table = read_table(path, ["tp", "pp", "max_num_tokens"], ["model"])
    (stages,) = table.integers("pp")
    if np.any(stages != 1):
        reading.skip("KV tokens with pipeline parallelism", int(np.sum(stages != 1)), "no pipeline is modelled")
    for key, rows in table.where(stages == 1).groups(["model"]):
        model = str(key[0])
        known = gpu_and_model(gpu_name, model, len(rows), catalogue, reading)
        if known is None:
            continue
        gpu, a = known
        (degrees,) = rows.integers("tp")
        (tokens,) = rows.floats("max_num_tokens")
        reading.add(
            "KV tokens",
            model,
            gpu,
            tokens,
            lambda on, a=a, degrees=degrees: np.array([kv_tokens(a, on, int(tp)) for tp in degrees]),
            lambda i, model=model, degrees=degrees: f"{model} tp {degrees[i]}",
        )


SOURCE = Source(
    name="distserve",
    title="DistServe's profile (github.com/LLMServe/DistServe): lines fitted to OPT on its engine and vLLM of 2023",
    read=_read,
    free={f"{what} time, {by}": ENGINE_FREE for what in ("prompt", "token") for by in ("distserve", "vllm")},
    unit={"KV tokens": "tokens"},
)
