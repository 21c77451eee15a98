"""Which deployment serves a role: sizes are preferred, popularity is met exactly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.applications.spec import SIZE_CLASSES


class Deployments(NamedTuple):
    """What a workload must know of the models that can be asked for. M deployments."""

    names: tuple[str, ...]
    popularity: np.ndarray  # float64 (M,), sums to 1
    size: np.ndarray  # int64 (M,): index into SIZE_CLASSES
    max_model_len: np.ndarray  # int64 (M,), tokens


def make_deployments(
    names: tuple[str, ...], popularity: list[float], size_classes: list[str], max_model_len: list[int]
) -> Deployments:
    """Gather what a scenario says of its deployments.

    Args:
        names: Names, in order of their ids.
        popularity: Relative share of the calls, positive.
        size_classes: Names of ``SIZE_CLASSES``.
        max_model_len: Longest context served [tokens].

    Returns:
        The deployments.

    Raises:
        MaestroError: There is none, or a popularity or size class is bad.
    """
    shares = np.asarray(popularity, np.float64)
    if not names or not np.all(np.isfinite(shares)) or np.any(shares <= 0):
        raise MaestroError("The deployments need at least one entry, each with a finite popularity above 0.")
    for name, size in zip(names, size_classes, strict=True):
        if size not in SIZE_CLASSES:
            raise MaestroError(f"Deployment `{name}` has size_class `{size}`; use one of {', '.join(SIZE_CLASSES)}.")
    size = np.array([SIZE_CLASSES.index(size) for size in size_classes], np.int64)
    return Deployments(tuple(names), shares / shares.sum(), size, np.asarray(max_model_len, np.int64))


def match_popularity(size_shares: np.ndarray, deployments: Deployments, decay: float) -> np.ndarray:
    """Find how roles of each size choose, so that every deployment gets its share of the stages.

    A role's liking of a deployment falls by ``decay`` with every step between the size it prefers
    and the deployment's. Iterative proportional fitting then bends these likings until the shares
    come out as the popularity says (Deming and Stephan 1940).

    Args:
        size_shares: float64, shape (sizes,): share of the stages whose role prefers a size.
        deployments: The deployments.
        decay: In (0, 1].

    Returns:
        float64, shape (sizes, num_models), rows sum to 1.
    """
    steps = np.abs(np.arange(len(SIZE_CLASSES))[:, None] - deployments.size[None, :])
    choice = decay**steps * deployments.popularity
    choice /= choice.sum(axis=1, keepdims=True)
    for _ in range(2000):
        got = size_shares @ choice
        if np.max(np.abs(got - deployments.popularity)) < 1e-9:
            break
        choice *= deployments.popularity / got
        choice /= choice.sum(axis=1, keepdims=True)
    return choice
