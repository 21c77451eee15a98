"""Holding the performance model against a profile set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maestro_gym import __version__
from maestro_gym.errors import MaestroError
from maestro_gym.fidelity.catalogue import Catalogue
from maestro_gym.fidelity.points import Batch, Machine, Skipped, Source
from maestro_gym.fidelity.refit import fit
from maestro_gym.fidelity.sources import find_folders

MIN_FIT_POINTS = 3
"""Points a fitted constant that a split fit asks for."""


class Errors(NamedTuple):
    """Relative errors, predicted / measured - 1.

    Attributes:
        points: How many.
        median: Of the absolute errors.
        p90: Of the absolute errors.
        signed: Median; positive where the model is too high.
        worst: The error with the greatest absolute value.
        worst_at: What point that is.
    """

    points: int
    median: float
    p90: float
    signed: float
    worst: float
    worst_at: str


@dataclass(frozen=True)
class Result:
    """One quantity of one source, on one GPU.

    Attributes:
        source: Name of the source.
        quantity: What was measured.
        gpu: Hardware in the catalogue.
        unit: Of the values.
        batches: Measurements.
        predicted: The model's values with the shipped constants, one array a batch.
        shipped: Errors with the constants of the hardware file; nothing is free.
        calibrated: Constants of that file which were fitted to this very source and quantity.
        free: Constants fitted to every second point for `split`; empty where there are too few points.
        split: Errors of the other points after that fit, or None.
    """

    source: str
    quantity: str
    gpu: str
    unit: str
    batches: list[Batch]
    predicted: list[np.ndarray]
    shipped: Errors
    calibrated: tuple[str, ...]
    free: tuple[str, ...]
    split: Errors | None


@dataclass(frozen=True)
class Fidelity:
    """All of a profile set.

    Attributes:
        date: Day of the run.
        version: Version of maestro-gym.
        results: By source and quantity.
        skipped: (source, what was skipped).
        notes: Absent and unknown folders, in words.
    """

    date: str
    version: str
    results: list[Result]
    skipped: list[tuple[str, Skipped]]
    notes: list[str]


def measure(
    profiles: Path,
    catalogue: Catalogue,
    split: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Fidelity:
    """Read a profile set and hold the model against it.

    Args:
        profiles: Holds one folder a source.
        catalogue: Models and hardware.
        split: Also fit each source's own constants to half of its points and score the other half.
        progress: Told what is being read.

    Returns:
        Errors by source and quantity.

    Raises:
        MaestroError: A file is wrong, or nothing could be read.
    """
    found, notes = find_folders(profiles)
    results: list[Result] = []
    skipped: list[tuple[str, Skipped]] = []
    for source, folder in found:
        progress(folder.name)
        reading = source.read(folder, catalogue)
        skipped += [(folder.name, item) for item in reading.skipped]
        kinds = dict.fromkeys((batch.quantity, batch.gpu) for batch in reading.batches)
        for quantity, gpu in kinds:
            batches = [b for b in reading.batches if (b.quantity, b.gpu) == (quantity, gpu)]
            results.append(_result(source, folder.name, quantity, batches, catalogue.machine(gpu), gpu, split))
        if not reading.batches and not reading.skipped:
            notes.append(f"{folder.name}: no file of the known names")
    if not results and not skipped:
        raise MaestroError(
            f"--profiles {profiles}: holds no measurements that maestro-gym can read ({'; '.join(notes)}). "
            "Folders and columns keep the names of their public sources; docs/fidelity.md lists them."
        )
    today = datetime.now(UTC).date().isoformat()
    return Fidelity(today, __version__, results, skipped, notes)


def errors_of(batches: Sequence[Batch], predicted: Sequence[np.ndarray], first: int = 0, every: int = 1) -> Errors:
    """Reckon the relative errors of batches.

    Args:
        batches: Measurements.
        predicted: float64 arrays, one a batch, as long as its measurements.
        first: First point of each batch that counts.
        every: Distance to the next that counts.

    Returns:
        The errors.
    """
    measured = [batch.measured[first::every] for batch in batches]
    errors = [values[first::every] / known - 1.0 for values, known in zip(predicted, measured, strict=True)]
    flat = np.concatenate(errors)
    size = np.abs(flat)
    worst = int(np.argmax(size))
    left = worst
    for batch, own in zip(batches, errors, strict=True):
        if left < len(own):
            place = batch.label(first + left * every)
            break
        left -= len(own)
    else:
        raise AssertionError("the worst point lies in a batch")
    return Errors(
        len(flat),
        float(np.median(size)),
        float(np.quantile(size, 0.9)),
        float(np.median(flat)),
        float(flat[worst]),
        place,
    )


def _result(
    source: Source, folder: str, quantity: str, batches: list[Batch], machine: Machine, gpu: str, split: bool
) -> Result:
    predicted = [batch.predict(machine) for batch in batches]
    free = source.free.get(quantity, ())
    own: Errors | None = None
    fitted_points = sum(len(batch.measured[::2]) for batch in batches)
    scored_points = sum(len(batch.measured[1::2]) for batch in batches)
    if split and free and scored_points and fitted_points >= MIN_FIT_POINTS * len(free):
        refitted = fit([batches], machine, free, every=2)
        halves = [batch for batch in batches if len(batch.measured) > 1]
        own = errors_of(halves, [batch.predict(refitted) for batch in halves], first=1, every=2)
    record = machine.gpu.calibration
    calibrated = tuple(
        name
        for item in (record.fits if record is not None else [])
        if item.source == f"{source.name}: {quantity}"
        for name in item.free
    )
    return Result(
        source=folder,
        quantity=quantity,
        gpu=gpu,
        unit=source.unit.get(quantity, "s"),
        batches=batches,
        predicted=predicted,
        shipped=errors_of(batches, predicted),
        calibrated=calibrated,
        free=free if own is not None else (),
        split=own,
    )
