"""Finished stages of past workflows: what was known of them, and what came of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.predictors.features import stage_features
from maestro_gym.predictors.predictor import Guess
from maestro_gym.predictors.truth import true_guess
from maestro_gym.state import Episode

MOST_CALLS = 40_000
"""Stages that a history holds (the Maestro paper trained on about 40,000)."""

_OF_THE_STAGE = ("tool_probability", "output_q50_tokens", "output_q90_tokens")


@dataclass(frozen=True)
class Samples:
    """S finished stages.

    Attributes:
        features: float64, shape (S, len(FEATURES)).
        workflow: int64, shape (S,): stages of one workflow stand together and share a number.
        truth: What came of them; what lay after a stage is nan where its workflow had not finished.
    """

    features: np.ndarray
    workflow: np.ndarray
    truth: Guess

    def __len__(self) -> int:
        """Stages."""
        return len(self.workflow)

    def take(self, rows: np.ndarray) -> Self:
        """Choose stages.

        Args:
            rows: bool, shape (S,), or ids.

        Returns:
            These stages, in their order.
        """
        truth = Guess(*(values[rows] for values in self.truth))
        return type(self)(self.features[rows], self.workflow[rows], truth)

    def join(self, later: Self, most: int = MOST_CALLS) -> Self:
        """Put later samples behind these, and forget the oldest workflows.

        Args:
            later: Of workflows that are not among these.
            most: Stages to keep, at least; the oldest workflow that is kept is kept whole.

        Returns:
            Both together.
        """
        apart = int(self.workflow.max(initial=-1)) + 1 - int(later.workflow.min(initial=0))
        joined = type(self)(
            np.concatenate([self.features, later.features]),
            np.concatenate([self.workflow, later.workflow + apart]),
            Guess(*(np.concatenate(pair) for pair in zip(self.truth, later.truth, strict=True))),
        )
        if len(joined) <= most:
            return joined
        return joined.take(joined.workflow >= joined.workflow[len(joined) - most])

    def digest(self) -> str:
        """Hash the content.

        Returns:
            64 hexadecimal digits.
        """
        digest = hashlib.sha256()
        for values in (self.features, self.workflow, *self.truth):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def samples_of(episode: Episode, service: np.ndarray, finished: np.ndarray | None = None) -> Samples:
    """Gather the finished stages of an episode.

    Args:
        episode: What happened.
        service: SERVICE, shape (num_models,), the one the episode was made with.
        finished: bool, shape (num_stages,); None: all. What lies after a stage is learned from workflows of
            which every stage has finished, and from no other.

    Returns:
        The samples, in the order of the stages.

    Raises:
        MaestroError: ``finished`` has another length, or a stage finished before one that it depends on.
    """
    workflow = episode.stages["workflow"].copy()
    samples = Samples(stage_features(episode), workflow, true_guess(episode, service))
    if finished is None:
        return samples
    if finished.shape != workflow.shape:
        raise MaestroError(
            f"finished: has shape {finished.shape}, but the episode has {len(workflow)} stages; give a flag for each."
        )
    parents = np.repeat(np.arange(len(workflow)), episode.hidden["num_children"])
    if np.any(finished[episode.children] & ~finished[parents]):
        raise MaestroError("finished: a stage is marked as finished while one that it depends on is not.")
    whole = np.ones(len(episode.workflows), bool)
    whole[workflow[~finished]] = False
    for name, values in samples.truth._asdict().items():
        if name not in _OF_THE_STAGE:
            values[~whole[workflow]] = np.nan
    return samples.take(finished)
