"""From a configuration to predictions in an episode."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.config import PredictorConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.predictors.constant import ConstantPredictor
from maestro_gym.predictors.noisy import NoisyPredictor
from maestro_gym.predictors.oracle import OraclePredictor
from maestro_gym.predictors.predictor import Predictor, record
from maestro_gym.predictors.role_median import RoleMedianPredictor
from maestro_gym.predictors.samples import MOST_CALLS, samples_of
from maestro_gym.predictors.store import boosted
from maestro_gym.state import Episode

LEARNERS = ("role_median", "boosted")
"""Kinds that learn from past workflows."""


def build_predictor(spec: PredictorConfig, service: np.ndarray, history: Episode | None = None) -> Predictor:
    """Build what a configuration asks for.

    Args:
        spec: The scenario's ``predictor`` section.
        service: SERVICE, shape (num_models,).
        history: Past workflows (``Workload.history``); only role_median and boosted need them.

    Returns:
        The predictor.

    Raises:
        MaestroError: A predictor that learns got no history.
    """
    if spec.kind == "oracle":
        return OraclePredictor()
    if spec.kind == "constant":
        return ConstantPredictor(spec.constant_tokens)
    if spec.kind == "noisy":
        return NoisyPredictor(spec.mae_tokens, spec.auc)
    if history is None or len(history.stages) == 0:
        raise MaestroError(
            f"predictor.kind: {spec.kind} learns from past workflows, and there are none: the workload's training "
            "split is empty. Give a longer trace, or another predictor (noisy, constant, oracle)."
        )
    samples = samples_of(history, service)
    return boosted(samples) if spec.kind == "boosted" else RoleMedianPredictor(samples)


def annotate(
    episode: Episode, service: np.ndarray, spec: PredictorConfig, key: int, history: Episode | None = None
) -> Episode:
    """Write predictions into an episode.

    Args:
        episode: From ``Workload.episode``.
        service: SERVICE, shape (num_models,), the one the episode was made with.
        spec: Which predictor.
        key: The episode's key.
        history: Past workflows; only role_median and boosted need them.

    Returns:
        The episode with predictions.
    """
    return record(episode, service, build_predictor(spec, service, history).guess(episode, service, key))


def history_workflows(spec: PredictorConfig, calls_per_workflow: float) -> int:
    """Say how many past workflows a predictor learns from.

    Args:
        spec: The scenario's ``predictor`` section.
        calls_per_workflow: Of the workload.

    Returns:
        What the configuration asks for, else as many as make ``MOST_CALLS`` stages; 0 for a predictor that
        learns nothing.
    """
    if spec.kind not in LEARNERS:
        return 0
    return spec.history or math.ceil(MOST_CALLS / calls_per_workflow)
