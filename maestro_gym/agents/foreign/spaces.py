"""From the spaces that a model was trained with to the tier that it drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from maestro_gym.agents.foreign.model_spec import ModelSpec
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.additions import ADDITIONS
from maestro_gym.envs.observation.layout import TIER_SPECS


@dataclass(frozen=True)
class Trained:
    """What a model was trained with.

    Attributes:
        tier: Whose decisions it takes.
        num_actions: A.
        flat: Whether it takes an observation as one vector, as ``gymnasium.wrappers.FlattenObservation`` makes it.
    """

    tier: str
    num_actions: int
    flat: bool


def trained_with(observation: spaces.Space[Any], action: spaces.Space[Any], model: ModelSpec) -> Trained:
    """Find the tier whose observations a model takes.

    Args:
        observation: The model's space of observations.
        action: Its space of actions.
        model: The model's file and what its name says; without a tier it is found by the numbers of columns.

    Raises:
        MaestroError: The spaces are those of no Maestro environment, or of another tier.
    """
    if not isinstance(action, spaces.Discrete):
        raise MaestroError(f"{model.path}: the model's actions are {action}; Maestro's environments take Discrete(A).")
    rows = int(action.n)
    path, tier = model.path, model.tier
    for name in TIER_SPECS:
        spec = TIER_SPECS[name].with_additions(model.additions)
        columns, length = len(spec.row_columns), len(spec.context_columns)
        flat = isinstance(observation, spaces.Box) and observation.shape == (rows * columns + length,)
        whole = isinstance(observation, spaces.Dict) and _shapes(observation) == {
            "candidates": (rows, columns),
            "context": (length,),
        }
        if (flat or whole) and tier in (None, name):
            return Trained(name, rows, flat)
    wanted = f"the {tier} tier" if tier else "any tier"
    raise MaestroError(
        f"{path}: the model was trained on {observation} with {action}, which is not the observation of {wanted} in "
        "this version: candidates (A, F) and context (G,), or the two flattened into one vector. Where its scenario "
        f"had more to decide, say what, as in {path}:global:tools ({', '.join(ADDITIONS)}). Else train it on an "
        "environment of Maestro without wrappers that change the observation, or put what they do into an agent of "
        "your own (FILE.py:Agent)."
    )


def _shapes(space: spaces.Dict) -> dict[str, tuple[int, ...] | None]:
    return {name: part.shape for name, part in space.spaces.items()}


def flattened(observation: Mapping[str, np.ndarray]) -> np.ndarray:
    """An observation as one vector, float32, shape (A * F + G,), in the order of Gymnasium's ``flatten``."""
    return np.concatenate([observation["candidates"].ravel(), observation["context"]])
