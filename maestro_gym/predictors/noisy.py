"""The truth with an error of a given size, so that the value of prediction can be measured."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from maestro_gym.core import hashing
from maestro_gym.core.compile import njit
from maestro_gym.predictors.predictor import Guess
from maestro_gym.predictors.truth import true_guess
from maestro_gym.state import Episode

_Q90 = float(ndtri(0.9))
_MAX_SIGMA = 4.0


@njit
def _normals(key: int, purpose: int, values: np.ndarray) -> None:
    """Fill an array with standard normal draws, entity = index."""
    for i in range(len(values)):
        values[i] = hashing.normal(key, purpose, i)


def _draws(key: int, purpose: int, count: int) -> np.ndarray:
    values = np.empty(count)
    _normals(key, purpose, values)
    return values


def calibrate_sigma(truth: np.ndarray, limit: np.ndarray, draws: np.ndarray, mae: float) -> float:
    """Find the lognormal sigma at which guesses miss by a given mean absolute error.

    Args:
        truth: float64, shape (n,), positive.
        limit: float64, shape (n,): guesses are held between 1 and it.
        draws: float64, shape (n,), standard normal.
        mae: Wanted mean of abs(guess - truth), in the unit of truth.

    Returns:
        Sigma in [0, 4]; 4 when even that misses by less than asked for.
    """
    if mae <= 0 or len(truth) == 0:
        return 0.0
    low, high = 0.0, _MAX_SIGMA
    for _ in range(60):
        sigma = 0.5 * (low + high)
        error = np.mean(np.abs(np.clip(truth * np.exp(sigma * draws), 1.0, limit) - truth))
        low, high = (sigma, high) if error < mae else (low, sigma)
    return 0.5 * (low + high)


class NoisyPredictor:
    """Truth times lognormal noise, the tool classifier by the binormal model.

    The noise is multiplicative because real length predictors miss long answers by more tokens than
    short tool calls; its sigma is set so that the mean absolute error over the episode's output
    lengths is the one asked for. The same sigma, with draws of its own, disturbs the future.
    """

    def __init__(self, mae_tokens: float, auc: float = 1.0) -> None:
        """Set the size of the errors.

        Args:
            mae_tokens: Mean absolute error of output_q50_tokens over an episode.
            auc: Area under the ROC curve of tool_probability, in [0.5, 1].
        """
        self.mae_tokens = mae_tokens
        self.auc = auc

    def guess(self, episode: Episode, service: np.ndarray, key: int) -> Guess:
        """Disturb the truth; see ``Predictor.guess``."""
        truth = true_guess(episode, service)
        count = len(episode.stages)
        length_draws = _draws(key, hashing.PREDICTION_NOISE, count)
        future_draws = _draws(key, hashing.PREDICTION_FUTURE, count)
        limit = episode.stages["max_output_tokens"].astype(np.float64)
        sigma = calibrate_sigma(truth.output_q50_tokens, limit, length_draws, self.mae_tokens)
        output = truth.output_q50_tokens * np.exp(sigma * length_draws)
        future = np.exp(sigma * future_draws)
        widen = float(np.exp(_Q90 * sigma))
        return Guess(
            tool_probability=self._tool_probability(episode, key),
            output_q50_tokens=output,
            output_q90_tokens=output * widen,
            remaining_calls=truth.remaining_calls * future,
            remaining_input_tokens=truth.remaining_input_tokens * future,
            remaining_output_tokens=truth.remaining_output_tokens * future,
            future_s_q50=truth.future_s_q50 * future,
            future_s_q90=truth.future_s_q50 * future * widen,
        )

    def _tool_probability(self, episode: Episode, key: int) -> np.ndarray:
        """Posterior of a tool call given a score that is normal with unit variance in both classes.

        The means lie d = sqrt(2) * Phi^-1(AUC) apart, which gives exactly that AUC.
        """
        intent = episode.hidden["tool_intent"].astype(np.float64)
        has_tools = episode.stages["tools_available"] > 0
        if self.auc >= 1.0 or not has_tools.any():
            return intent
        distance = float(np.sqrt(2.0) * ndtri(self.auc))
        score = intent * distance + _draws(key, hashing.PREDICTION_TOOL, len(intent))
        prior = np.clip(intent[has_tools].mean(), 1e-3, 1 - 1e-3)
        logit = distance * score - 0.5 * distance**2 + np.log(prior / (1 - prior))
        return np.where(has_tools, 1.0 / (1.0 + np.exp(-logit)), 0.0)
