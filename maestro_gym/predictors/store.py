"""Keeps fitted predictors in the user's cache folder, by the hash of what they were fitted to.

A file holds arrays of numbers and is read with pickles forbidden, so that reading one can run no
code; what is read is checked before compiled code walks it. Only the user's own cache folder is
looked at, never a path from a configuration.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from maestro_gym.core.cache_place import tell_of_failure
from maestro_gym.core.code_cache import cache_dir
from maestro_gym.predictors.boosted import NUM_FUTURE, BoostedPredictor, Design, Fitted, Lengths
from maestro_gym.predictors.conditional import ConditionalTable
from maestro_gym.predictors.features import CATEGORICAL, FEATURES
from maestro_gym.predictors.samples import Samples
from maestro_gym.predictors.trees import Ensemble

_COLUMNS = len(FEATURES) + 1  # and the tool probability


def store_path(history: Samples, design: Design) -> Path:
    """Where the predictor of a history is kept.

    Args:
        history: What it learns from.
        design: Which parts it has.

    Returns:
        A file in a folder that changes with the sources of this package; it may not exist.
    """
    # scikit-learn's version without its import, which takes a second.
    from importlib.metadata import version

    words = f"{history.digest()} {design} scikit-learn {version('scikit-learn')}"
    return cache_dir("predictors") / "fitted" / f"{hashlib.sha256(words.encode()).hexdigest()}.npz"


def boosted(history: Samples, design: Design | None = None) -> BoostedPredictor:
    """Fit a predictor, or take it from the cache.

    Args:
        history: What it learns from.
        design: Which parts it has; None: all.

    Returns:
        The predictor, the same either way.
    """
    design = design or Design()
    path = store_path(history, design)
    kept = _read(path)
    predictor = BoostedPredictor(history, design, kept)
    if kept is None:
        _write(path, predictor.fitted)
    return predictor


def _write(path: Path, fitted: Fitted) -> None:
    """Write a file whole or not at all; without a writable cache every start fits anew."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **_flatten(fitted))  # type: ignore[arg-type] - arrays by name
        os.replace(name, path)
    except OSError as error:
        tell_of_failure(error)


def _read(path: Path) -> Fitted | None:
    """Read a file; None when there is none, or none that holds."""
    try:
        with np.load(path, allow_pickle=False) as file:
            fitted = _unflatten(dict(file))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return fitted if _holds(fitted) else None


def _flatten(fitted: Fitted) -> dict[str, np.ndarray]:
    arrays = {"calibration": fitted.calibration}
    arrays |= {f"codes.{place}": codes for place, codes in enumerate(fitted.codes)}
    for level, pair in enumerate(zip(fitted.future.codes, fitted.future.rows, strict=True)):
        arrays |= {f"future.{level}.{name}": values for name, values in zip(("codes", "rows"), pair, strict=True)}
    ensembles = {"tool": fitted.tool}
    for level, lengths in enumerate(fitted.lengths):
        arrays[f"own.{level}"] = np.array(sorted(lengths.own), np.int64)
        ensembles[f"shared.{level}"] = lengths.shared
        ensembles |= {f"own.{level}.{role}": ensemble for role, ensemble in lengths.own.items()}
    for name, ensemble in ensembles.items():
        arrays |= {f"{name}.{field}": values for field, values in ensemble._asdict().items()}
    return arrays


def _unflatten(arrays: dict[str, np.ndarray]) -> Fitted:
    def ensemble(name: str) -> Ensemble:
        return Ensemble(*(arrays[f"{name}.{field}"] for field in Ensemble._fields))

    def levels(name: str, field: str) -> tuple[np.ndarray, ...]:
        count = sum(key.startswith(f"{name}.") and key.endswith(field) for key in arrays)
        return tuple(arrays[f"{name}.{level}{field}"] for level in range(count))

    return Fitted(
        codes=tuple(arrays[f"codes.{place}"] for place in range(len(CATEGORICAL))),
        tool=ensemble("tool"),
        calibration=arrays["calibration"],
        lengths=tuple(
            Lengths(
                ensemble(f"shared.{level}"),
                {int(role): ensemble(f"own.{level}.{role}") for role in arrays[f"own.{level}"]},
            )
            for level in range(2)
        ),
        future=ConditionalTable(levels("future", ".codes"), levels("future", ".rows")),
    )


def _holds(fitted: Fitted) -> bool:
    lengths = (ensemble for of in fitted.lengths for ensemble in (of.shared, *of.own.values()))
    ensembles = (fitted.tool, *lengths)
    return (
        all(ensemble.fault(_COLUMNS) is None for ensemble in ensembles)
        and fitted.calibration.shape[1:] == (2,)
        and fitted.future.rows[-1].shape[1:] == (NUM_FUTURE,)
    )
