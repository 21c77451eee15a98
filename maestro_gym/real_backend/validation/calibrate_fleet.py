"""The constants of the simulator's step model, fitted to measurements of live servers.

The model is the simulator's own sum of operators (`performance.step_tables`): the fit changes the hardware file and
nothing else. A few points cannot tell its many constants apart, so a weak prior holds each near its starting value.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from maestro_gym import __version__
from maestro_gym.config import ArchitectureConfig, GpuConfig, ScenarioConfig, dump_config
from maestro_gym.config.catalogue import Machine
from maestro_gym.config.hardware import Calibration, Fitted
from maestro_gym.config.limits import LimitsConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s
from maestro_gym.real_backend.validation.measure_servers import Measured, Point, served_lengths
from maestro_gym.serving.node_scenario import DRAIN_S
from maestro_gym.serving.replay_requests import one_node, replay
from maestro_gym.state import World

_FREE = (
    "step.step_const_s",
    "step.sequence_s",
    "step.matmul_const_s",
    "peak_flops_per_s",
    "hbm_bytes_per_s",
    "step.attention_prefill_const_s",
    "step.attention_prefill_flops_efficiency",
    "step.attention_decode_const_s",
    "step.attention_decode_s_per_sequence",
    "step.attention_decode_bandwidth_efficiency",
)
_PRIOR = 0.02
"""The weight of the prior: a factor of e away from the start costs as much as an error of 2 % at one point."""

_SMALLEST = 1e-9
_MOST_STEPS = 100
"""The largest number of steps of the fit; with the points of a server it settles within about twenty."""

Worlds = dict[tuple[str, int, int], World]
"""Worlds of one node with one engine, by model, longest prompt and batch."""

KINDS = ("prefill", "decode", "mixed", "served_first", "served_gap")
"""The kinds of measured points, see `measure_servers.Point`."""


@dataclass(frozen=True)
class CalibratedGpu:
    """A fitted hardware file.

    Attributes:
        name: The name of the hardware in the fleet file.
        gpu: The hardware.
        points: The points to which it was fitted.
        predicted_s: The times of those points by the fitted model.
    """

    name: str
    gpu: GpuConfig
    points: list[Point]
    predicted_s: list[float]

    @property
    def errors(self) -> np.ndarray:
        """The relative errors, positive where the model is slower; float64, shape (points,)."""
        measured = np.array([point.seconds for point in self.points])
        return np.array(self.predicted_s) / measured - 1.0


def fit_hardware(config: ScenarioConfig, measured: Measured) -> CalibratedGpu:
    """Fit the hardware of a fleet to what was measured on it.

    Args:
        config: The fleet as a scenario whose nodes are of one kind.
        measured: The measurements, from ``measure_fleet``.

    Returns:
        The fitted hardware.

    Raises:
        MaestroError: The fleet has several kinds of nodes, or too little was measured.
    """
    kinds = {(group.gpu, group.tp) for group in config.host_groups}
    if len(kinds) != 1:
        raise MaestroError(
            f"The fleet has {len(kinds)} kinds of node; calibrate one at a time, with a fleet file for each kind."
        )
    if len(measured.points) < 6:
        raise MaestroError(f"{len(measured.points)} measured points are too few for a fit; bring more servers up.")
    ((name, tp),) = kinds
    start = config.gpus[name]
    base = np.log([max(_SMALLEST, _get(start, place)) for place in _FREE])
    measured_s = np.array([point.seconds for point in measured.points])

    worlds: Worlds = {}

    def residuals(parameters: np.ndarray) -> np.ndarray:
        predicted = np.array(predict_points(config, _changed(start, parameters), tp, measured, worlds)) + _SMALLEST
        return np.concatenate([np.log(predicted / measured_s), _PRIOR * (parameters - base)])

    low = np.full(len(_FREE), -25.0)
    high = np.array([0.0 if "efficiency" in place else 45.0 for place in _FREE])
    solved = least_squares(
        residuals,
        np.clip(base, low + 1e-6, high - 1e-6),
        bounds=(low, high),
        loss="soft_l1",
        f_scale=0.1,
        max_nfev=_MOST_STEPS,
    )
    gpu = _changed(start, solved.x)
    predicted = predict_points(config, gpu, tp, measured, worlds)
    fitted = CalibratedGpu(name, gpu, measured.points, predicted)
    fits = [_score(fitted, kind) for kind in KINDS]
    residency = gpu.residency.model_copy(update=_residency(config, gpu, tp, measured))
    calibration = Calibration(date=time.strftime("%Y-%m-%d"), version=__version__, fits=[f for f in fits if f])
    final = gpu.model_copy(update={"calibration": calibration, "residency": residency})
    return CalibratedGpu(name, final, measured.points, predicted)


def _residency(config: ScenarioConfig, gpu: GpuConfig, tp: int, measured: Measured) -> dict[str, float]:
    """Return the constants of the promotions that were measured; the costs per layer and per byte stay as they are."""
    found: dict[str, float] = {}
    if measured.wake_s:
        # A server falls asleep in the same request and answer.
        found["wake_base_s"] = found["sleep_base_s"] = float(np.median(list(measured.wake_s.values())))
    bases = []
    for server, seconds in measured.load_s.items():
        name = server.partition("/")[2]
        architecture = config.architectures[next(item.architecture for item in config.models if item.name == name)]
        weights_gb = architecture.weight_bytes_per_gpu(tp) / 1e9
        costs = gpu.residency
        bases.append(seconds - costs.cpu_s_per_layer * architecture.layers - costs.cpu_s_per_gb * weights_gb)
    if bases:
        found["cpu_base_s"] = max(0.0, float(np.median(bases)))
    return found


def write_hardware(fitted: CalibratedGpu, path: Path) -> None:
    """Write the hardware as a YAML file that fleets and scenarios take.

    Args:
        fitted: The fitted hardware, from ``fit_hardware``.
        path: The file to write; its folder is made if it is missing.

    Raises:
        MaestroError: The file cannot be written.
    """
    head = "# Written by `maestro-gym calibrate --fleet`: constants fitted to live servers, see `calibration`.\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, head + dump_config(fitted.gpu))
    except OSError as error:
        raise MaestroError(f"--out {path}: cannot be written ({error.strerror}); name a writable path.") from error


def point_rows(fitted: CalibratedGpu) -> list[dict[str, Any]]:
    """Set the measured points beside what the fitted model says of them, as rows of a table."""
    return [
        {
            "model": point.model,
            "kind": point.kind,
            "prompt_tokens": point.prompt_tokens,
            "batch": point.batch,
            "measured_ms": 1e3 * point.seconds,
            "spread_%": 100 * point.spread,
            "fitted_ms": 1e3 * predicted,
            "error_%": 100 * (predicted / point.seconds - 1),
        }
        for point, predicted in zip(fitted.points, fitted.predicted_s, strict=True)
    ]


def _score(fitted: CalibratedGpu, kind: str) -> Fitted | None:
    errors = fitted.errors[[point.kind == kind for point in fitted.points]]
    if not len(errors):
        return None
    return Fitted(
        source=f"live {kind}",
        points=len(errors),
        median_error=float(np.median(np.abs(errors))),
        p90_error=float(np.quantile(np.abs(errors), 0.9)),
        signed_error=float(np.median(errors)),
        free=list(_FREE),
    )


def predict_points(
    config: ScenarioConfig, gpu: GpuConfig, tp: int, measured: Measured, worlds: Worlds | None = None
) -> list[float]:
    """Predict the times of measured points by the step model, and by the simulator where a batch is served.

    Args:
        config: The fleet as a scenario.
        gpu: The hardware of its nodes.
        tp: The number of GPUs of a node.
        measured: The points, and the constant of a call.
        worlds: Keeps the worlds of one node from one call of this function to the next.

    Returns:
        The predicted times in seconds, one per point.
    """
    limits = config.limits
    architectures = {item.name: config.architectures[item.architecture] for item in config.models}
    tables = {
        name: step_tables(architecture, gpu, tp, limits.max_num_batched_tokens, limits.max_num_seqs, limits.moe_kernel)
        for name, architecture in architectures.items()
    }
    worlds = {} if worlds is None else worlds
    served: dict[tuple[str, int, int], tuple[float, float]] = {}
    seconds = []
    for point in measured.points:
        if not point.kind.startswith("served"):
            seconds.append(_point_s(tables[point.model], point, limits, measured.api_s))
            continue
        key = (point.model, point.prompt_tokens, point.batch)
        if key not in served:
            if key not in worlds:
                worlds[key] = _serving_alone(config, gpu, tp, architectures[point.model], point.batch, measured.api_s)
            served[key] = _served_s(worlds[key], tables[point.model], point)
        seconds.append(served[key][point.kind == "served_gap"])
    return seconds


def _serving_alone(
    config: ScenarioConfig, gpu: GpuConfig, tp: int, architecture: ArchitectureConfig, batch: int, api_s: float
) -> World:
    """Make a node of the fleet with one engine, whose batch holds ``batch`` sequences, and with the delay of a call."""
    machine = Machine(gpu, next(iter(config.hosts.values())), config.limits)
    limits = config.limits.model_dump(mode="json") | {"dispatch_s": api_s}
    return one_node(architecture, machine, tp, batch, config.limits.max_num_batched_tokens, limits)


def _served_s(world: World, tables: StepTables, point: Point) -> tuple[float, float]:
    """Simulate `served_lengths`; return the mean time from sending to the first token, and the mean gap of tokens."""
    prompt, output = np.array(served_lengths(point.prompt_tokens, point.batch)).T
    fewer = tables._replace(sample_s=tables.sample_s[: point.batch + 1], decode=tables.decode[: point.batch + 1])
    # All requests wait from the beginning in their order, so the next one enters the batch as soon as one has ended.
    stages = replay(world, fewer, 1e-6 * np.arange(len(prompt)), prompt, output)
    # A fit may try constants that are so slow that nothing is served within hours.
    sent_s, first_s, last_s = (
        np.minimum(stages[name], DRAIN_S) for name in ("admitted_s", "first_token_s", "finished_s")
    )
    return float((first_s - sent_s).mean()), float(((last_s - first_s) / (output - 1)).mean())


def _point_s(tables: StepTables, point: Point, limits: LimitsConfig, api_s: float) -> float:
    budget = limits.max_num_batched_tokens
    if point.kind == "decode":
        return step_time_s(tables, [], [round(point.context_tokens)] * point.batch)
    others = [round(point.context_tokens)] * point.batch if point.kind == "mixed" else []
    # A prompt that comes beside others waits for the step that is under way, half of one on average, and for the one
    # behind it where that has been scheduled by then.
    waited = 1.5 if limits.schedule_ahead else 0.5
    total = api_s + waited * step_time_s(tables, [], others) if others else 0.0
    past = 0
    while past < point.prompt_tokens:
        chunk = min(budget - len(others), point.prompt_tokens - past)
        last = past + chunk == point.prompt_tokens
        total += step_time_s(tables, [(chunk, past)], others, sampling_prefills=int(last))
        past += chunk
    return total


def _get(gpu: GpuConfig, place: str) -> float:
    section, _, name = place.rpartition(".")
    return float(getattr(gpu.step if section else gpu, name))


def _changed(gpu: GpuConfig, parameters: np.ndarray) -> GpuConfig:
    values = {place: float(np.exp(value)) for place, value in zip(_FREE, parameters, strict=True)}
    step = {place.rpartition(".")[2]: value for place, value in values.items() if place.startswith("step.")}
    own = {place: value for place, value in values.items() if not place.startswith("step.")}
    # The constants that are fitted here are those of the law that knows no table.
    return gpu.model_copy(update=own | {"step": gpu.step.model_copy(update=step | {"attention_decode": None})})
