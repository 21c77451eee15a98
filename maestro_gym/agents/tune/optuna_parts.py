"""Samplers, pruners and storage of Optuna, as a study names them."""

from __future__ import annotations

import warnings
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

from maestro_gym.agents.tune.values import Value
from maestro_gym.config.tune import TuneConfig
from maestro_gym.core.errors import MaestroError

STUDY_FILE = "study.sqlite3"
_STUDY_NAME = "maestro-gym"


def load_optuna() -> ModuleType:
    """Import Optuna, and let it speak of warnings only.

    Raises:
        MaestroError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MaestroError("tune: needs Optuna. Install it by: pip install 'maestro-gym[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_study(folder: Path, config: TuneConfig, *, maximise: bool) -> Any:  # noqa: ANN401 - an optuna.Study
    """Open the study of a folder, or begin it.

    Args:
        folder: Its folder.
        config: Its settings.
        maximise: Whether more of the metric is better.

    Returns:
        The study. A sampler draws from its seed and the number of trials so far, because Optuna keeps trials and no
        generators: a study that was stopped need not meet the values that it would have met without.

    Raises:
        MaestroError: The file is none of Optuna's.
    """
    optuna = load_optuna()
    from sqlalchemy.exc import SQLAlchemyError

    path = folder / STUDY_FILE
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name=_STUDY_NAME,
            direction="maximize" if maximise else "minimize",
            pruner=_pruner(optuna, config),
            load_if_exists=True,
        )
        study.sampler = _sampler(optuna, config, config.seed + len(study.trials))
        if config.sampler == "grid" and not study.trials:
            # Optuna's own grid ends a study from within its loop, which is not the loop here.
            for point in grid(config):
                study.enqueue_trial(point)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        raise MaestroError(
            f"{path}: cannot be read as a study of this Optuna ({error}). Begin another folder."
        ) from error
    return study


def grid(config: TuneConfig) -> list[dict[str, Value]]:
    """Every point of a grid, in the order of its levels; what varies last changes first.

    Args:
        config: Settings of a study whose sampler is the grid.

    Returns:
        Value by dotted place, for each point.
    """
    places = [varied.path for varied in config.vary]
    return [
        dict(zip(places, point, strict=True)) for point in product(*(varied.levels or [] for varied in config.vary))
    ]


def _sampler(optuna: ModuleType, config: TuneConfig, seed: int) -> Any:  # noqa: ANN401 - optuna's base class
    samplers, startup = optuna.samplers, config.startup_trials
    if config.sampler == "tpe":
        return samplers.TPESampler(seed=seed, n_startup_trials=startup)
    if config.sampler == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=startup)
    if config.sampler == "qmc":
        # Scrambled by the study's own seed and not by the session's: a sequence goes on where it stopped.
        return samplers.QMCSampler(seed=config.seed, scramble=True, warn_independent_sampling=False)
    return samplers.RandomSampler(seed=seed)


def _pruner(optuna: ModuleType, config: TuneConfig) -> Any:  # noqa: ANN401 - optuna's base class
    pruners, startup = optuna.pruners, config.startup_trials
    if config.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=startup)
    if config.pruner == "halving":
        return pruners.SuccessiveHalvingPruner()
    if config.pruner == "hyperband":
        return pruners.HyperbandPruner()
    if config.pruner == "wilcoxon":
        return pruners.WilcoxonPruner()
    return pruners.NopPruner()
