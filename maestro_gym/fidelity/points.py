"""What a reader of measurements hands on: measured values, and the function of the model that predicts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.config.hardware import Validity

Predict = Callable[[Machine], np.ndarray]
"""The performance model on one machine: float64, shape (points,), in the unit of what was measured."""
Tabulate = Callable[[Machine, np.ndarray], Machine]
"""Puts chosen measurements (int64, shape (chosen points,)) into a machine that holds a table of them."""


@dataclass(frozen=True)
class Batch:
    """Measurements that one call of the performance model predicts.

    Attributes:
        quantity: What was measured, such as ``linear layers``; rows of the report are (source, quantity).
        case: Model, TP and the like, for the detailed table.
        gpu: Name of the hardware in the catalogue.
        measured: float64, shape (points,).
        predict: The model's value for each point.
        label: Says what a point is.
        seen: bool, shape (points,): points that constants may be fitted to where the others are scored, all
            quantities of the source together; None leaves the choice.
        tabulate: Makes the measurements themselves the machine's, where it has a table of them.
    """

    quantity: str
    case: str
    gpu: str
    measured: np.ndarray
    predict: Predict
    label: Callable[[int], str]
    seen: np.ndarray | None = None
    tabulate: Tabulate | None = None

    def part(self, chosen: np.ndarray) -> Batch:
        """Some of the points.

        Args:
            chosen: int64, shape (chosen points,): which.

        Returns:
            A batch of these.
        """
        tabulate = self.tabulate
        return replace(
            self,
            measured=self.measured[chosen],
            predict=lambda on: self.predict(on)[chosen],
            label=lambda i: self.label(int(chosen[i])),
            seen=None if self.seen is None else self.seen[chosen],
            tabulate=None if tabulate is None else lambda machine, inner: tabulate(machine, chosen[inner]),
        )


@dataclass(frozen=True)
class Skipped:
    """Rows that could not be held against the model.

    Attributes:
        what: Model, GPU or quantity.
        rows: How many rows.
        reason: Why, and what would help.
    """

    what: str
    rows: int
    reason: str


@dataclass
class Reading:
    """What one folder held."""

    batches: list[Batch] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(
        self,
        quantity: str,
        case: str,
        gpu: str,
        measured: np.ndarray,
        predict: Predict,
        label: Callable[[int], str],
        seen: np.ndarray | None = None,
        count_blanks: bool = True,
        tabulate: Tabulate | None = None,
    ) -> None:
        """Keep what was measured and is positive; blanks are counted as skipped.

        Args:
            quantity: As in `Batch`.
            case: As in `Batch`.
            gpu: As in `Batch`.
            measured: float64, shape (rows,); may hold NaN and zeros.
            predict: For all rows, kept or not.
            label: Of a row.
            seen: As in `Batch`, for all rows.
            count_blanks: Blanks are rows that were to be measured.
            tabulate: As in `Batch`, for all rows.
        """
        measured = np.asarray(measured, dtype=np.float64)
        good = np.flatnonzero(np.isfinite(measured) & (measured > 0))
        if count_blanks and len(good) < len(measured):
            self.skip(f"{quantity}, {case}", len(measured) - len(good), "nothing was measured")
        if len(good):
            self.batches.append(Batch(quantity, case, gpu, measured, predict, label, seen, tabulate).part(good))

    def skip(self, what: str, rows: int, reason: str) -> None:
        """Name what is left out.

        Args:
            what: Model, GPU or quantity.
            rows: How many rows.
            reason: Why, and what would help.
        """
        self.skipped.append(Skipped(what, rows, reason))


Reader = Callable[[Path, Catalogue], Reading]
"""Reads the folder of a source."""


@dataclass(frozen=True)
class Source:
    """One kind of profile.

    Attributes:
        name: Folder, and first column of the report.
        title: What it is, with its public source.
        read: Reads the folder.
        free: Quantity to the constants that it can tell, dotted from `Machine`; they are fitted to every second
            point for the second half of the report, and by `calibrate` where `calibrates` names the quantity.
        calibrates: Quantities that `calibrate` fits the hardware to.
        unit: Quantity to unit, where it is not seconds.
        validity: Ranges of what it calibrates.
    """

    name: str
    title: str
    read: Reader
    free: dict[str, tuple[str, ...]]
    calibrates: Sequence[str] = ()
    unit: dict[str, str] = field(default_factory=dict)
    validity: Validity | None = None
