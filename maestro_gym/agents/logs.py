"""Where the numbers of a training run or of a search go: a CSV that survives a resume, TensorBoard, W&B when asked."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from maestro_gym.core.csv_cells import row_as_text
from maestro_gym.core.ending import has_no_room
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import whole_file

STEP_COLUMN = "steps"
LOG_FILE = "progress.csv"


class CsvLog(KVWriter):
    """A CSV file with one row a record; columns may appear later, rows beyond a resumed step are dropped."""

    def __init__(self, path: Path, from_step: int = 0) -> None:
        """Open the log.

        Args:
            path: The file.
            from_step: Rows at or before it are kept, 0 starts afresh.
        """
        self._path = path
        self._columns: list[str] = [STEP_COLUMN]
        self._rows: list[dict[str, Any]] = []
        if from_step > 0 and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self._rows = [row for row in csv.DictReader(file) if float(row[STEP_COLUMN]) <= from_step]
            self._columns = list(self._rows[0]) if self._rows else self._columns
        self._rewrite()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows so far, in order."""
        return self._rows

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row and write it out."""
        new = [column for column in row if column not in self._columns]
        self._rows.append(dict(row))
        if new:
            self._columns += new
            self._rewrite()
            return
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row_as_text(self._rows[-1]))

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Take a record of Stable-Baselines3's logger."""
        numbers = {
            key: value for key, value in sorted(key_values.items()) if isinstance(value, int | float | np.number)
        }
        self.append({STEP_COLUMN: step} | numbers)

    def close(self) -> None:
        """Nothing is held open."""

    def _rewrite(self) -> None:
        with whole_file(self._path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(map(row_as_text, self._rows))


class WandbLog(KVWriter):
    """Weights & Biases; offline runs lie in the run folder until ``wandb sync`` sends them."""

    def __init__(self, folder: Path, mode: Literal["offline", "online"], config: Mapping[str, Any]) -> None:
        """Start a run.

        Args:
            folder: The run folder.
            mode: ``offline`` or ``online``.
            config: What the run is about.

        Raises:
            MaestroError: W&B cannot start.
        """
        os.environ.setdefault("WANDB_SILENT", "true")
        try:
            import wandb

            self._run = wandb.init(
                project="maestro-gym",
                name=folder.name,
                dir=str(folder),
                mode=mode,
                config=dict(config),
                reinit="create_new",
            )
        except Exception as error:
            raise MaestroError(
                f"wandb: {mode} cannot start Weights & Biases ({error}). Log in with `wandb login`, or set wandb to "
                "offline or off; TensorBoard and CSV are always written."
            ) from error

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Take a record of Stable-Baselines3's logger."""
        self._run.log(
            {key: value for key, value in key_values.items() if isinstance(value, int | float | np.number)}, step=step
        )

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def _hear_once(told: threading.ExceptHookArgs) -> None:
    """Leave a full disk that TensorBoard's thread meets to the run, which hears of it at its next record."""
    full = told.exc_value is not None and has_no_room(told.exc_value)
    if not (full and type(told.thread).__module__.startswith("tensorboard.")):
        threading.__excepthook__(told)


def open_logger(
    folder: Path, from_step: int, wandb_mode: Literal["off", "offline", "online"], config: Mapping[str, Any]
) -> Logger:
    """Make the logger of a training run or of a search.

    Args:
        folder: The run folder.
        from_step: Steps done before a resume.
        wandb_mode: ``off``, ``offline`` or ``online``.
        config: What W&B is told of the run.
    """
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _hear_once
    outputs: list[KVWriter] = [
        CsvLog(folder / LOG_FILE, from_step),
        TensorBoardOutputFormat(str(folder / "tensorboard")),
    ]
    if wandb_mode != "off":
        outputs.append(WandbLog(folder, wandb_mode, config))
    return Logger(str(folder), outputs)
