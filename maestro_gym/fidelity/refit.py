"""Fitting constants of a machine to measurements by least squares on the relative error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from scipy.optimize import least_squares, minimize

from maestro_gym.config.catalogue import Machine
from maestro_gym.config.step_coefficients import DecodeAttention
from maestro_gym.fidelity.points import Batch

_SOFTENING = 0.1
"""Relative error beyond which a point counts less than squared (soft L1), so that outliers do not rule the fit."""
_SMALLEST = 1e-12
_SCALE, _SCALE_S = 0.1, 1e-6
"""Steps of a constant that starts at 0: of a ratio, and of seconds."""
_NUDGE = 0.05
_INSIDE = 1e-6
_MAX_ITERATIONS = 80
_MAX_EVALUATIONS = 100
_RESTARTS = 3
_WIDTH = 0.5
_TOLERANCE = 1e-3


def fit(groups: Sequence[Sequence[Batch]], machine: Machine, free: Sequence[str], jumps: bool = False) -> Machine:
    """Fit constants so that the sum over points of soft_l1(relative error) is least.

    Args:
        groups: Batches by kind of measurement; each kind weighs the same, however many points it has.
        machine: Where the search starts.
        free: Dotted names, such as ``gpu.step.step_const_s``. A table of measurements, such as
            ``gpu.step.allreduce``, takes these themselves; of a law with lists, such as ``gpu.step.attention_decode``,
            all numbers are fitted but where they stand.
        jumps: The predictions have no slope, as those of a replay, whose batches change in jumps; the search is then
            by a simplex (Nelder and Mead, 1965).

    Returns:
        The machine with the fitted constants.
    """
    for batch in (batch for group in groups for batch in group):
        if batch.tabulate is not None:
            machine = batch.tabulate(machine, np.arange(len(batch.measured)))
    free = [number for name in in_use(machine, free) for number in _numbers(machine, name)]
    if not free:
        return machine
    start = np.array([float(_get(machine, name)) for name in free])
    scale = np.where(start > 0, start, [_first_step(name) for name in free])
    lower, upper = (np.array(side) for side in zip(*(_bounds(machine, name) for name in free), strict=True))
    weights = [np.sqrt(1.0 / sum(len(batch.measured) for batch in group)) for group in groups if group]
    kept = [group for group in groups if group]

    def residuals(x: np.ndarray) -> np.ndarray:
        trial = with_values(machine, dict(zip(free, x * scale, strict=True)))
        parts = [
            weight * (batch.predict(trial) / batch.measured - 1.0)
            for group, weight in zip(kept, weights, strict=True)
            for batch in group
        ]
        return np.concatenate(parts)

    # A search must start inside its bounds.
    begin = np.clip(np.ones(len(free)), lower / scale + _INSIDE, upper / scale - _INSIDE)
    softening = _SOFTENING * float(np.median(weights))
    if jumps:

        def cost(x: np.ndarray) -> float:
            return float(np.sum(np.sqrt(1.0 + (residuals(x) / softening) ** 2) - 1.0))

        limits = list(zip(lower / scale, upper / scale, strict=True))
        place = begin
        for _ in range(_RESTARTS):
            # A wide simplex steps over the jumps; a new one gets out of where the last collapsed.
            simplex = np.vstack([place, place + _WIDTH * np.eye(len(place))])
            options = {"maxfev": _MAX_EVALUATIONS, "initial_simplex": simplex, "xatol": _TOLERANCE, "fatol": 0.0}
            place = minimize(cost, place, method="Nelder-Mead", bounds=limits, options=options).x
        return with_values(machine, dict(zip(free, (float(value) for value in place * scale), strict=True)))
    # A minimum of kernels has several valleys; that of the declared defaults is another place to look.
    places = [begin, np.clip(_defaults(machine, free, start) / scale, lower / scale + _INSIDE, upper / scale - _INSIDE)]
    tried = [
        least_squares(
            residuals,
            place,
            bounds=(lower / scale, upper / scale),
            loss="soft_l1",
            # Residuals carry the weight of their group.
            f_scale=softening,
            max_nfev=_MAX_ITERATIONS,
        )
        for place in places
    ]
    found = min(tried, key=lambda result: result.cost)
    return with_values(machine, dict(zip(free, (float(value) for value in found.x * scale), strict=True)))


def in_use(machine: Machine, free: Sequence[str]) -> list[str]:
    """Those constants that the laws of a machine read: a law in place of constants makes these mean nothing.

    Args:
        machine: The machine.
        free: Dotted names.

    Returns:
        Dotted names.
    """
    laws = [name for name in free if not isinstance(_get(machine, name), float | int) and _get(machine, name)]
    there = [name for name in free if _get(machine, name) is not None]
    return [name for name in there if not any(name.startswith(f"{law}_") for law in laws)]


def told_by(batches: Sequence[Batch], machine: Machine, free: Sequence[str]) -> list[str]:
    """Those constants on which some prediction depends.

    Args:
        batches: Measurements.
        machine: The machine.
        free: Dotted names.

    Returns:
        Dotted names; a table or a law is told by any measurement.
    """
    told, predicted = [], [batch.predict(machine) for batch in batches]
    for name in in_use(machine, free):
        value = _get(machine, name)
        if isinstance(value, float | int):
            low, high = _bounds(machine, name)
            other = min(high, value * (1.0 + _NUDGE)) if value > 0 else _first_step(name)
            moved = with_values(machine, {name: max(low, other) if other != value else value * (1.0 - _NUDGE)})
            if all(np.array_equal(batch.predict(moved), now) for batch, now in zip(batches, predicted, strict=True)):
                continue
        told.append(name)
    return told


def with_values(machine: Machine, values: dict[str, float]) -> Machine:
    """Copy a machine with other constants.

    Args:
        machine: The machine.
        values: Dotted name to value.

    Returns:
        The copy.
    """
    parts = machine._asdict()
    for name, value in values.items():
        part, *path = name.split(".")
        parts[part] = _assign(parts[part], path, value)
    return Machine(**parts)


def _assign(config: Any, path: Sequence[str], value: float) -> Any:  # noqa: ANN401 - a configuration model or a section
    if isinstance(config, list):
        return [float(value) if place == int(path[0]) else item for place, item in enumerate(config)]
    if len(path) == 1:
        return config.model_copy(update={path[0]: float(value)})
    return config.model_copy(update={path[0]: _assign(getattr(config, path[0]), path[1:], value)})


def _get(machine: Machine, name: str) -> Any:  # noqa: ANN401 - a number or a table
    place: Any = machine
    for part in name.split("."):
        place = place[int(part)] if part.isdigit() else getattr(place, part)
    return place


def _numbers(machine: Machine, name: str) -> list[str]:
    """Dotted names of a constant's numbers, which are to be fitted."""
    value = _get(machine, name)
    if isinstance(value, DecodeAttention):
        fitted = {"const_s": value.const_s, "bandwidth_efficiency": value.bandwidth_efficiency}
        return [f"{name}.{key}.{place}" for key, numbers in fitted.items() for place in range(len(numbers))]
    return [name] if isinstance(value, float | int) else []


def _first_step(name: str) -> float:
    """How far a search goes at first from a constant of 0."""
    return _SCALE_S if name.endswith("_s") or "_s_per_" in name else _SCALE


def _defaults(machine: Machine, free: Sequence[str], start: np.ndarray) -> np.ndarray:
    """Declared defaults of constants, and the start where there is none."""
    values = []
    for name, value in zip(free, start, strict=True):
        section, _, key = name.rpartition(".")
        default = None if key.isdigit() else type(_get(machine, section)).model_fields[key].default
        values.append(float(default) if isinstance(default, float | int) else float(value))
    return np.array(values)


def _bounds(machine: Machine, name: str) -> tuple[float, float]:
    """Limits that the configuration declares for a constant."""
    section, _, key = name.rpartition(".")
    inside = key.isdigit()
    if inside:
        section, _, key = section.rpartition(".")
    model: type[BaseModel] = type(_get(machine, section))
    field = model.model_fields[key]
    low, high = -np.inf, np.inf
    # The limits of a list's numbers stand with the numbers.
    for limit in get_args(get_args(field.annotation)[0])[1].metadata if inside else field.metadata:
        if isinstance(limit, Ge):
            low = float(limit.ge)  # pyright: ignore[reportArgumentType]
        elif isinstance(limit, Gt):
            low = float(limit.gt) + _SMALLEST  # pyright: ignore[reportArgumentType]
        elif isinstance(limit, Le):
            high = float(limit.le)  # pyright: ignore[reportArgumentType]
    return low, high
