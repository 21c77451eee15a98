"""What varies, as Optuna draws it and as the words that a verb is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from maestro_gym.config.tune import VariedConfig

if TYPE_CHECKING:
    import optuna

Value = bool | int | float | str


def drawn(trial: optuna.Trial, vary: Sequence[VariedConfig]) -> dict[str, Value]:
    """Let a trial choose a value for everything that varies.

    Args:
        trial: Of Optuna; its parameters are called as the places of the settings.
        vary: What varies.

    Returns:
        Value by dotted place.
    """
    return {varied.path: _draw(trial, varied) for varied in vary}


def _draw(trial: optuna.Trial, varied: VariedConfig) -> Value:
    if varied.levels is not None:
        level = trial.suggest_categorical(varied.path, varied.levels)
        assert level is not None
        return level
    low, high, step = varied.low, varied.high, varied.step
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(varied.path, low, high, step=int(step or 1), log=varied.log)
    assert low is not None
    assert high is not None
    return trial.suggest_float(varied.path, low, high, step=step, log=varied.log)


def words_of(values: Mapping[str, Value]) -> list[str]:
    """Values as words of a command line, such as ``train.learning_rate=0.001``.

    Args:
        values: Value by dotted place.
    """
    return [f"{path}={json.dumps(value)}" for path, value in values.items()]


def corners(vary: Sequence[VariedConfig]) -> list[dict[str, Value]]:
    """Choices that show whether every value can be had: each end of a range and each level, once.

    Args:
        vary: What varies.

    Returns:
        Value by dotted place, for each choice; a choice names one place only.
    """
    return [{varied.path: value} for varied in vary for value in varied.levels or (varied.low, varied.high)]  # pyright: ignore[reportReturnType] - the ends of a range are there
