"""Holding the performance model against a profile set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maestro_gym import __version__
from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.points import Batch, Skipped, Source
from maestro_gym.fidelity.profile_sources import find_folders
from maestro_gym.fidelity.refit import fit, in_use

MIN_POINTS_PER_CONSTANT = 2
"""Fewer points than this for each constant are not fitted to."""
FEW_POINTS = 24
"""Up to so many, each point is predicted by a fit to all the others."""


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
        free: Constants fitted for `split`; empty where there are too few points.
        split: Errors of points that a fit of these constants did not see, or None.
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
        split: Also fit each source's own constants to some of its points and score the others.
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
        for gpu in dict.fromkeys(batch.gpu for batch in reading.batches):
            machine, own = catalogue.machine(gpu), [batch for batch in reading.batches if batch.gpu == gpu]
            fitted = fit_to_seen(own, machine, next(iter(source.free.values()))) if split else None
            for quantity in dict.fromkeys(batch.quantity for batch in own):
                batches = [batch for batch in own if batch.quantity == quantity]
                results.append(_result(source, folder.name, quantity, batches, fitted, machine, gpu, split))
        if not reading.batches and not reading.skipped:
            notes.append(f"{folder.name}: no file of the known names")
    if not results and not skipped:
        raise MaestroError(
            f"--profiles {profiles}: holds no measurements that maestro-gym can read ({'; '.join(notes)}). "
            "Folders and columns keep the names of their public sources; docs/fidelity.md lists them."
        )
    today = datetime.now(UTC).date().isoformat()
    return Fidelity(today, __version__, results, skipped, notes)


def errors_of(batches: Sequence[Batch], predicted: Sequence[np.ndarray]) -> Errors:
    """Reckon the relative errors of batches.

    Args:
        batches: Measurements, at least one point.
        predicted: float64 arrays, one a batch, as long as its measurements.

    Returns:
        The errors.
    """
    flat = np.concatenate([values / batch.measured - 1.0 for batch, values in zip(batches, predicted, strict=True)])
    size = np.abs(flat)
    worst = int(np.argmax(size))
    ends = np.cumsum([len(batch.measured) for batch in batches])
    which = int(np.searchsorted(ends, worst, side="right"))
    batch = batches[which]
    return Errors(
        len(flat),
        float(np.median(size)),
        float(np.quantile(size, 0.9)),
        float(np.median(flat)),
        float(flat[worst]),
        batch.label(worst - int(ends[which]) + len(batch.measured)),
    )


def held_out_errors(batches: Sequence[Batch], machine: Machine, free: Sequence[str]) -> Errors | None:
    """Fit constants to some points and score the model on others.

    Of many points every second is fitted to and the others are scored; of few, each is scored after a fit to all
    the others.

    Args:
        batches: Measurements of one quantity.
        machine: Where the fits start.
        free: Constants to fit, dotted.

    Returns:
        Errors of the points that a fit did not see; None if there are too few.
    """
    total = sum(len(batch.measured) for batch in batches)
    if not free or total < MIN_POINTS_PER_CONSTANT * len(free):
        return None
    place = np.concatenate([np.arange(len(batch.measured)) for batch in batches])
    owner = np.concatenate([np.full(len(batch.measured), i) for i, batch in enumerate(batches)])
    if total <= FEW_POINTS:
        folds = [np.arange(total) == point for point in range(total)]
    else:
        folds = [np.arange(total) % 2 == 1]
    scored: list[Batch] = []
    predicted: list[np.ndarray] = []
    for fold in folds:
        seen = [b.part(place[~fold & (owner == i)]) for i, b in enumerate(batches) if np.any(~fold & (owner == i))]
        unseen = [b.part(place[fold & (owner == i)]) for i, b in enumerate(batches) if np.any(fold & (owner == i))]
        fitted = fit([seen], machine, free)
        scored += unseen
        predicted += [batch.predict(fitted) for batch in unseen]
    return errors_of(scored, predicted)


def fit_to_seen(batches: Sequence[Batch], machine: Machine, free: Sequence[str]) -> Machine | None:
    """Fit constants to the points that may be seen, of all quantities together, each weighing the same.

    Args:
        batches: Measurements of a source.
        machine: Where the fit starts.
        free: Constants to fit, dotted.

    Returns:
        The fitted machine; None if no point may be seen.
    """
    shown = [b.part(np.flatnonzero(b.seen)) for b in batches if b.seen is not None and b.seen.any()]
    if not shown:
        return None
    groups = [[b for b in shown if b.quantity == name] for name in dict.fromkeys(b.quantity for b in shown)]
    return fit(groups, machine, free, jumps=True)


def _later_errors(batches: Sequence[Batch], fitted: Machine) -> Errors | None:
    """Errors of the points that the fit did not see."""
    later = [b.part(np.flatnonzero(~b.seen)) for b in batches if b.seen is not None and not b.seen.all()]
    return errors_of(later, [batch.predict(fitted) for batch in later]) if later else None


def _result(
    source: Source,
    folder: str,
    quantity: str,
    batches: list[Batch],
    fitted: Machine | None,
    machine: Machine,
    gpu: str,
    split: bool,
) -> Result:
    predicted = [batch.predict(machine) for batch in batches]
    free = tuple(in_use(machine, source.free.get(quantity, ())))
    if fitted is not None:
        own = _later_errors(batches, fitted)
    else:
        own = held_out_errors(batches, machine, free) if split else None
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
