"""From a configuration to predictions in an episode."""

from __future__ import annotations

import numpy as np

from maestro_gym.config import PredictorConfig
from maestro_gym.errors import MaestroError
from maestro_gym.predictors.constant import ConstantPredictor
from maestro_gym.predictors.noisy import NoisyPredictor
from maestro_gym.predictors.oracle import OraclePredictor
from maestro_gym.predictors.predictor import Predictor, record
from maestro_gym.predictors.role_median import RoleMedianPredictor
from maestro_gym.schema import Episode


def build_predictor(spec: PredictorConfig, service: np.ndarray, history: Episode | None = None) -> Predictor:
    """Build what a configuration asks for.

    Args:
        spec: the scenario's ``predictor`` section.
        service: SERVICE, shape (num_models,).
        history: past workflows (``Workload.history``); only role_median needs them.

    Returns:
        The predictor.

    Raises:
        MaestroError: role_median without history.
    """
    if spec.kind == "oracle":
        return OraclePredictor()
    if spec.kind == "constant":
        return ConstantPredictor(spec.constant_tokens)
    if spec.kind == "noisy":
        return NoisyPredictor(spec.mae_tokens, spec.auc)
    if history is None or len(history.stages) == 0:
        raise MaestroError(
            "predictor.kind: role_median learns from past workflows, and there are none: the workload's training "
            "split is empty. Give a longer trace, or another predictor (noisy, constant, oracle)."
        )
    return RoleMedianPredictor(history, service)


def annotate(
    episode: Episode, service: np.ndarray, spec: PredictorConfig, key: int, history: Episode | None = None
) -> Episode:
    """Write predictions into an episode.

    Args:
        episode: from ``Workload.episode``.
        service: SERVICE, shape (num_models,), the one the episode was made with.
        spec: which predictor.
        key: the episode's key.
        history: past workflows; only role_median needs them.

    Returns:
        The episode with predictions.
    """
    return record(episode, service, build_predictor(spec, service, history).guess(episode, service, key))
