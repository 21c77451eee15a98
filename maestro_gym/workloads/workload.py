"""What a workload is: a maker of episodes with names and statistics."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from maestro_gym.core import hashing
from maestro_gym.core.errors import ArgumentValueError, MaestroError
from maestro_gym.state import INTERACTIVE, Episode

SPLITS = ("train", "validation", "test")

_FOLD = 257
"""Purpose of the draws that fold large seeds."""


class Mix(NamedTuple):
    """Long-run statistics of a workload, from which its capacity follows. M deployments."""

    model_share: np.ndarray  # float64 (M,): share of the stages, sums to 1
    prompt_tokens: np.ndarray  # float64 (M,): mean of the model's stages; of all stages where it has none
    output_tokens: np.ndarray  # float64 (M,): likewise
    calls_per_workflow: float
    interactive_share: float  # of the workflows


class Workload(Protocol):
    """A maker of episodes.

    Attributes:
        name: For tables and plots.
        notes: Sentences that the reader of a result should see, such as what a trace left out.
        role_names: By ``stages.role``.
        application_names: By ``workflows.application``.
        tenant_names: By ``workflows.tenant``.
    """

    name: str
    role_names: tuple[str, ...]
    application_names: tuple[str, ...]
    tenant_names: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the reader of a result should know."""
        ...

    def mix(self) -> Mix:
        """Return the workload's statistics over many workflows, the same at every call."""
        ...

    def episode(
        self, key: int, rate_rps: float, horizon_s: float, service: np.ndarray, split: str = "train"
    ) -> Episode:
        """Make one episode, its predictions zero.

        Args:
            key: Of ``episode_key``; the episode is a function of it and the other arguments.
            rate_rps: Workflows a second.
            horizon_s: Workflows arrive before it [s].
            service: SERVICE, shape (num_models,): nominal speeds, for what truly remains.
            split: ``train``, ``validation`` or ``test``: a trace keeps the workflows of the three apart.

        Returns:
            The episode.
        """
        ...

    def history(self, num_workflows: int, service: np.ndarray) -> Episode:
        """Return past workflows that predictors may learn from: of the training split, the same at every call.

        Args:
            num_workflows: How many; a trace may have fewer.
            service: SERVICE, shape (num_models,).

        Returns:
            An episode without meaningful arrival times.
        """
        ...


def fold_seed(seed: int) -> int:
    """A seed of any size as one of 32 bits.

    Args:
        seed: A whole number, not negative.

    Returns:
        Itself below 2**32, otherwise a hash of all its bits in [0, 2**32).

    Raises:
        ArgumentValueError: It is negative.
    """
    if seed < 0:
        raise ArgumentValueError(f"The seed {seed} is negative; give a whole number from 0 on.")
    if seed < 2**32:
        return int(seed)
    folded, rest = 0, int(seed)
    while rest:
        folded = int(hashing.mix(folded, _FOLD, rest & (2**62 - 1)))
        rest >>= 62
    return folded % 2**32


def episode_key(split: str, seed: int, index: int) -> int:
    """Return the key of an episode: no two of (split, seed, index) share one while seeds are below 2**32.

    Args:
        split: ``train``, ``validation`` or ``test``.
        seed: The environment's seed; one of 2**32 or more counts as `fold_seed` says.
        index: Which episode of that environment, in [0, 2**31).

    Returns:
        An integer in [0, 2**62).

    Raises:
        MaestroError: The split does not exist, or seed or index is out of range.
    """
    if split not in SPLITS:
        raise MaestroError(f"There is no split `{split}`; use one of {', '.join(SPLITS)}.")
    if not 0 <= index < 2**31:
        raise MaestroError(f"The episode index {index} is out of range; give a whole number from 0 to {2**31 - 1}.")
    return int(hashing.mix(fold_seed(seed) * 2**31 + int(index), hashing.EPISODE, SPLITS.index(split)))


def mix_of(episode: Episode, num_models: int) -> Mix:
    """Compute the statistics of an episode.

    Args:
        episode: A large one.
        num_models: Deployments.

    Returns:
        Its mix.
    """
    models = episode.stages["model"]
    counts = np.bincount(models, minlength=num_models).astype(np.float64)
    means = []
    for tokens in (episode.stages["prompt_tokens"], episode.hidden["output_tokens"]):
        sums = np.bincount(models, weights=tokens, minlength=num_models)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), tokens.mean()))
    return Mix(
        model_share=counts / counts.sum(),
        prompt_tokens=means[0],
        output_tokens=means[1],
        calls_per_workflow=len(episode.stages) / len(episode.workflows),
        interactive_share=float(np.mean(episode.workflows["cls"] == INTERACTIVE)),
    )
