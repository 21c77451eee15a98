"""The predictor that knows nothing: the lower bound."""

from __future__ import annotations

import numpy as np

from maestro_gym.predictors.predictor import Guess
from maestro_gym.state import Episode


class ConstantPredictor:
    """Guesses the same output length for every stage, and nothing of the future."""

    def __init__(self, output_tokens: float) -> None:
        """Set the guess.

        Args:
            output_tokens: Of every stage.
        """
        self.output_tokens = output_tokens

    def guess(self, episode: Episode, service: np.ndarray, key: int) -> Guess:
        """Guess alike for all stages; see ``Predictor.guess``."""
        del service, key
        count = len(episode.stages)
        tool = np.where(episode.stages["tools_available"] > 0, 0.5, 0.0)
        output = np.full(count, self.output_tokens)
        nothing = np.zeros(count)
        return Guess(tool, output, output, nothing, nothing, nothing, nothing, nothing)
