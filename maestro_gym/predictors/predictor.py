"""What a predictor is, and how its guesses become the prediction record of a stage.

T_rem = T_current + T_future                                           (Maestro F5)
T_current = prefill_time(model, L_in) + decode_time(model) * L_out_hat (Maestro F6)
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

import numpy as np

from maestro_gym.state import PREDICTION, Episode


class Guess(NamedTuple):
    """What a predictor says of S stages; every field is float64, shape (S,)."""

    tool_probability: np.ndarray
    output_q50_tokens: np.ndarray
    output_q90_tokens: np.ndarray
    remaining_calls: np.ndarray
    remaining_input_tokens: np.ndarray
    remaining_output_tokens: np.ndarray
    future_s_q50: np.ndarray
    future_s_q90: np.ndarray


class Predictor(Protocol):
    """Anything that guesses; the seam for a fitted model.

    A predictor is frozen within an episode. Of a stage it may use what is known when the stage becomes
    ready: its own records in ``episode.stages`` and ``workflows``, and the truth of the stages it depends
    on. Only one that stands for perfect or disturbed knowledge reads more of ``episode.hidden``.
    """

    def guess(self, episode: Episode, service: np.ndarray, key: int) -> Guess:
        """Guess for every stage of an episode.

        Args:
            episode: The episode.
            service: SERVICE, shape (num_models,).
            key: Of the episode; random predictors hash it.

        Returns:
            The guess, by stage.
        """
        ...


class Learner(Predictor, Protocol):
    """A predictor that learns from the past."""

    def learn(self, episode: Episode, service: np.ndarray, finished: np.ndarray) -> Self:
        """Learn from a past episode too. Nothing in the project calls it on its own: learning is the user's decision.

        Args:
            episode: What happened in it.
            service: SERVICE, shape (num_models,), the one the episode was made with.
            finished: bool, shape (num_stages,): stages that finished; nothing of the others is learned. What
                lies after a stage is learned from workflows of which every stage finished.

        Returns:
            Another predictor; this one stays as it is, so that an episode under way is not disturbed.

        Raises:
            MaestroError: ``finished`` does not fit the episode.
        """
        ...


def nominal_s(episode: Episode, service: np.ndarray, output_tokens: np.ndarray) -> np.ndarray:
    """Compute T_current of every stage.

    Args:
        episode: The episode.
        service: SERVICE, shape (num_models,).
        output_tokens: float64, shape (num_stages,): true or guessed.

    Returns:
        float64, shape (num_stages,), seconds.
    """
    row = service[episode.stages["model"]]
    prefill_s = row["prefill_base_s"] + row["prefill_s_per_token"] * episode.stages["prompt_tokens"]
    return prefill_s + row["decode_s_per_token"] * output_tokens


def record(episode: Episode, service: np.ndarray, guess: Guess) -> Episode:
    """Write a guess into an episode's prediction records.

    Output lengths are held between one token and the client's limit. The 90 % quantile of T_rem
    adds the quantiles of its parts, which bounds it from above where the parts are not comonotone.

    Args:
        episode: The episode; it is not changed.
        service: SERVICE, shape (num_models,).
        guess: What was guessed.

    Returns:
        The episode with predictions.
    """
    predictions = np.zeros(len(episode.stages), PREDICTION)
    limit = episode.stages["max_output_tokens"].astype(np.float64)
    for name, values in zip(Guess._fields, guess, strict=True):
        predictions[name] = np.maximum(values, 0.0)
    predictions["tool_probability"] = np.clip(guess.tool_probability, 0.0, 1.0)
    for name in ("output_q50_tokens", "output_q90_tokens"):
        predictions[name] = np.clip(predictions[name], 1.0, limit)
    predictions["output_q90_tokens"] = np.maximum(predictions["output_q90_tokens"], predictions["output_q50_tokens"])
    predictions["future_s_q90"] = np.maximum(predictions["future_s_q90"], predictions["future_s_q50"])
    for level in ("q50", "q90"):
        current_s = nominal_s(episode, service, predictions[f"output_{level}_tokens"])
        predictions[f"remaining_s_{level}"] = current_s + predictions[f"future_s_{level}"]
    return episode._replace(predictions=predictions)
