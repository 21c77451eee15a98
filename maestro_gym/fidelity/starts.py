"""Cold starts, wakes and sleeps of vLLM, and loading of weights by ServerlessLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.folders import NO_GPU, NO_MODEL, gpu_of_prefix
from maestro_gym.fidelity.frames import Table, read_table
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.scheduling.load_times import copy_time_s, read_time_s, start_time_s

START_FREE = ("gpu.residency.cpu_base_s", "gpu.residency.cpu_s_per_gb", "gpu.residency.cpu_s_per_layer")
WAKE_FREE = ("gpu.residency.wake_base_s", "gpu.pcie_bytes_per_s")
SLEEP_FREE = ("gpu.residency.sleep_base_s",)
DISK_FREE = ("host.nvme_bytes_per_s",)
_NO_LAW = "an engine of the simulator reads safetensors from a disk; other formats and caches are not modelled"
_BYTES = {"bf16": 2.0, "fp16": 2.0, "bfloat16": 2.0, "float16": 2.0, "fp32": 4.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5}
"""Bytes of a parameter by precision."""


def _start_s(on: Machine, num_bytes: np.ndarray, layers: np.ndarray) -> np.ndarray:
    costs = on.gpu.residency
    fixed, per_byte, per_layer = costs.cpu_base_s, costs.cpu_s_per_gb / 1e9, costs.cpu_s_per_layer
    pairs = zip(num_bytes, layers, strict=True)
    return np.array([start_time_s(fixed, per_byte, float(size), per_layer, float(depth)) for size, depth in pairs])


def _copy_s(on: Machine, base_s: float, num_bytes: np.ndarray, tp: int) -> np.ndarray:
    """A wake or a sleep of `tp` GPUs that share their host's PCIe, as in the engine."""
    rate = min(on.gpu.pcie_bytes_per_s, on.host.pcie_bytes_per_s / tp)
    return np.array([copy_time_s(base_s, float(size), rate) for size in num_bytes])


def _wake_s(on: Machine, num_bytes: np.ndarray, tp: int) -> np.ndarray:
    return _copy_s(on, on.gpu.residency.wake_base_s, num_bytes, tp)


def _sleep_s(on: Machine, num_bytes: np.ndarray, tp: int) -> np.ndarray:
    return _copy_s(on, on.gpu.residency.sleep_base_s, num_bytes, tp)


def _reload_s(on: Machine, num_bytes: np.ndarray, tp: int) -> np.ndarray:
    """A wake from level 2: the engine lives, and reads its weights from the disk again."""
    fixed, rate = on.gpu.residency.wake_base_s, on.host.nvme_bytes_per_s
    return np.array([fixed + read_time_s(float(size) * tp, rate) for size in num_bytes])


def _read_startup(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    for path in sorted(folder.glob("*.csv")):
        table = read_table(path, ["layers", "params_b", "actual_total_s"], ["model"])
        gpu = gpu_of_prefix(path, len(table), catalogue, reading)
        if gpu is None:
            continue
        layers, billions, seconds = table.floats("layers", "params_b", "actual_total_s")
        num_bytes = billions * 1e9 * _BYTES["bf16"]
        names = table.words("model")
        reading.add(
            "cold start, total",
            path.stem,
            gpu,
            seconds,
            lambda on, num_bytes=num_bytes, layers=layers: _start_s(on, num_bytes, layers),
            lambda i, names=names: names[i],
        )
    return reading


def _read_sleep(folder: Path, catalogue: Catalogue) -> Reading:
    reading = Reading()
    for path in sorted(folder.glob("*.csv")):
        table = read_table(path, ["tp", "sleep_level", "seconds"], ["gpu", "model", "precision", "event"])
        for key, rows in table.groups(["gpu", "model", "precision", "event", "tp", "sleep_level"]):
            gpu, model, precision, event, tp, level = key
            _add_event(reading, catalogue, rows, Event(gpu, model, precision, event, int(tp), int(level)))
    return reading


class Event(NamedTuple):
    """What the rows of a group in the sleep-mode file share; `name` is cold_load, warm_up, sleep or wake."""

    gpu: str
    model: str
    precision: str
    name: str
    tp: int
    level: int


def _add_event(reading: Reading, catalogue: Catalogue, rows: Table, event: Event) -> None:
    gpu, architecture = catalogue.gpu(event.gpu), catalogue.model(event.model)
    case = f"{event.model} tp {event.tp} {event.precision}, {event.name}"
    if gpu is None or architecture is None:
        missing = f"GPU {event.gpu}" if gpu is None else f"model {event.model}"
        reading.skip(f"{missing}: {event.name}", len(rows), NO_GPU if gpu is None else NO_MODEL)
        return
    if event.precision not in _BYTES:
        reading.skip(case, len(rows), f"its precision is not known; known are {', '.join(_BYTES)}")
        return
    num_bytes = np.full(len(rows), architecture.parameters * _BYTES[event.precision] / event.tp)
    layers = np.full(len(rows), float(architecture.layers))
    (seconds,) = rows.floats("seconds")
    if event.name == "cold_load":
        reading.add("cold load", case, gpu, seconds, lambda on: _start_s(on, num_bytes, layers), lambda _: case)
    elif event.name == "wake" and event.level == 1:
        reading.add("wake", case, gpu, seconds, lambda on: _wake_s(on, num_bytes, event.tp), lambda _: case)
    elif event.name == "wake" and event.level == 2:
        reading.add("wake, level 2", case, gpu, seconds, lambda on: _reload_s(on, num_bytes, event.tp), lambda _: case)
    elif event.name == "sleep" and event.level == 1:
        reading.add("sleep", case, gpu, seconds, lambda on: _sleep_s(on, num_bytes, event.tp), lambda _: case)
    else:
        reading.skip(f"{event.name} at sleep level {event.level}, {event.model}", len(rows), "not modelled")


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
        elif kind != "safetensors" or order == "cached":
            reading.skip(f"{kind} {order}: {path.name}", len(seconds), _NO_LAW)
        elif gpu is not None:
            num_bytes = np.full(len(seconds), float(architecture.weight_bytes))
            case = f"{model} {kind} {order}"
            reading.add(
                "safetensors, from disk",
                case,
                gpu,
                seconds,
                lambda on, num_bytes=num_bytes: _read_s(on, num_bytes),
                lambda i, case=case: f"{case}, run {i}",
            )
    return reading


def _read_s(on: Machine, num_bytes: np.ndarray) -> np.ndarray:
    return np.array([read_time_s(float(size), on.host.nvme_bytes_per_s) for size in num_bytes])


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
    free={"wake": WAKE_FREE, "wake, level 2": DISK_FREE, "sleep": SLEEP_FREE, "cold load": START_FREE},
    calibrates=("wake", "sleep"),
)
LOADING = Source(
    name="serverlessllm",
    title="ServerlessLLM's loading of weights (github.com/ServerlessLLM/ServerlessLLM), no engine start",
    read=_read_loading,
    free={
        "safetensors, from disk": DISK_FREE,
    },
)
