"""Cold starts, wakes and sleeps of vLLM, and loading of weights by ServerlessLLM."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from maestro_gym.errors import MaestroError
from maestro_gym.fidelity.catalogue import Catalogue
from maestro_gym.fidelity.folders import NO_GPU, NO_MODEL, gpu_of_prefix
from maestro_gym.fidelity.frames import read_table
from maestro_gym.fidelity.points import Machine, Reading, Source
from maestro_gym.sim.load_times import read_time_s, start_time_s, wake_time_s

START_FREE = ("gpu.residency.cpu_base_s", "gpu.residency.cpu_s_per_gb", "gpu.residency.cpu_s_per_layer")
WAKE_FREE = ("gpu.residency.wake_base_s", "gpu.pcie_bytes_per_s")
_BYTES = {"bf16": 2.0, "fp16": 2.0, "bfloat16": 2.0, "float16": 2.0, "fp32": 4.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5}
"""Bytes of a parameter by precision."""


def _start_s(on: Machine, num_bytes: np.ndarray, layers: np.ndarray) -> np.ndarray:
    costs = on.gpu.residency
    return start_time_s.py_func(costs.cpu_base_s, costs.cpu_s_per_gb / 1e9, num_bytes, costs.cpu_s_per_layer, layers)


def _wake_s(on: Machine, num_bytes: np.ndarray) -> np.ndarray:
    return wake_time_s.py_func(on.gpu.residency.wake_base_s, num_bytes, on.gpu.pcie_bytes_per_s)


def _read_startup(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    for path in sorted(folder.glob("*.csv")):
        frame = read_table(path, ["model", "layers", "params_b", "actual_total_s"])
        gpu = gpu_of_prefix(path, len(frame), catalogue, reading)
        if gpu is None:
            continue
        layers = frame["layers"].to_numpy(np.float64)
        num_bytes = frame["params_b"].to_numpy(np.float64) * 1e9 * _BYTES["bf16"]
        names = list(frame["model"])
        reading.add(
            "cold start, total",
            path.stem,
            gpu,
            frame["actual_total_s"].to_numpy(),
            lambda on, num_bytes=num_bytes, layers=layers: _start_s(on, num_bytes, layers),
            lambda i, names=names: str(names[i]),
        )
    return reading


def _read_sleep(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    for path in sorted(folder.glob("*.csv")):
        frame = read_table(path, ["gpu", "model", "tp", "precision", "sleep_level", "event", "seconds"])
        for key, rows in frame.groupby(["gpu", "model", "tp", "precision", "sleep_level", "event"]):
            _add_event(reading, catalogue, rows, *(str(value) for value in key))
    return reading


def _add_event(
    reading: Reading,
    catalogue: Catalogue,
    rows: pd.DataFrame,
    gpu_name: str,
    model: str,
    tp: str,
    precision: str,
    level: str,
    event: str,
) -> None:
    gpu, architecture = catalogue.gpu(gpu_name), catalogue.model(model)
    case = f"{model} tp {tp} {precision}, {event}"
    if gpu is None or architecture is None:
        missing = f"GPU {gpu_name}" if gpu is None else f"model {model}"
        reading.skip(f"{missing}: {event}", len(rows), NO_GPU if gpu is None else NO_MODEL)
        return
    if precision not in _BYTES:
        reading.skip(case, len(rows), f"precision {precision} is not known; known are {', '.join(_BYTES)}")
        return
    num_bytes = np.full(len(rows), architecture.parameters * _BYTES[precision] / int(tp))
    layers = np.full(len(rows), float(architecture.layers))
    seconds = rows["seconds"].to_numpy()
    if event == "cold_load":
        reading.add(
            "cold load", case, gpu, seconds, lambda on: _start_s(on, num_bytes, layers), lambda _, case=case: case
        )
    elif event in ("wake", "sleep") and level == "1":
        reading.add(event, case, gpu, seconds, lambda on: _wake_s(on, num_bytes), lambda _, case=case: case)
    else:
        reading.skip(f"{event} at sleep level {level}, {model}", len(rows), "not modelled")


def _read_loading(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    for path in sorted(folder.glob("*/*.json")):
        # publisher_model_format_runs_order.json
        words = path.stem.split("_")
        if len(words) < 5:
            raise MaestroError(f"{path}: name it publisher_model_format_runs_order.json, as ServerlessLLM does.")
        model, kind, order = "_".join(words[1:-3]), words[-3], words[-1]
        try:
            seconds = np.array([float(run["loading_time"]) for run in json.loads(path.read_text(encoding="utf-8"))])
        except (ValueError, KeyError, TypeError) as error:
            raise MaestroError(f"{path}: must hold a list of runs with `loading_time` [s] ({error!r}).") from None
        gpu = gpu_of_prefix(path.parent, len(seconds), catalogue, reading)
        architecture = catalogue.model(model)
        if architecture is None:
            reading.skip(f"model {model}: {path.name}", len(seconds), NO_MODEL)
        elif gpu is not None:
            num_bytes = np.full(len(seconds), float(architecture.weight_bytes))
            cached = order == "cached"
            quantity = f"{kind}, {'from memory' if cached else 'from disk'}"
            case = f"{model} {kind} {order}"
            reading.add(
                quantity,
                case,
                gpu,
                seconds,
                lambda on, num_bytes=num_bytes, cached=cached: _load_s(on, num_bytes, cached),
                lambda i, case=case: f"{case}, run {i}",
            )
    return reading


def _load_s(on: Machine, num_bytes: np.ndarray, cached: bool) -> np.ndarray:
    if cached:
        return _wake_s(on, num_bytes)
    return read_time_s.py_func(num_bytes, on.host.nvme_bytes_per_s)


STARTUP = Source(
    name="vllm_startup",
    title="vLLM start-up profile (github.com/upb-cn/vllm-startup-profiler): warm page cache, until ready",
    read=_read_startup,
    free={"cold start, total": START_FREE},
    calibrates=("cold start, total",),
)
SLEEP = Source(
    name="vllm_sleep_mode",
    title="vLLM sleep mode (vLLM blog, 2025-10-26): level 1, weights in host memory",
    read=_read_sleep,
    free={"wake": WAKE_FREE, "sleep": WAKE_FREE, "cold load": START_FREE},
    calibrates=("wake",),
)
LOADING = Source(
    name="serverlessllm",
    title="ServerlessLLM's loading of weights (github.com/ServerlessLLM/ServerlessLLM), no engine start",
    read=_read_loading,
    free={
        "sllm, from disk": ("host.nvme_bytes_per_s",),
        "safetensors, from disk": ("host.nvme_bytes_per_s",),
        "sllm, from memory": WAKE_FREE,
        "safetensors, from memory": WAKE_FREE,
    },
)
