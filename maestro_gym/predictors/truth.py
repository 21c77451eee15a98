"""What truly lies ahead of every stage, in the units of a prediction."""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.predictors.predictor import Guess, nominal_s
from maestro_gym.state import Episode
from maestro_gym.workloads import by_name


@njit
def _sum_later(
    workflows: np.ndarray, stages: np.ndarray, hidden: np.ndarray, children: np.ndarray, later: np.ndarray
) -> None:
    """Add up prompt and output tokens of the stages that depend on each stage."""
    for w in range(len(workflows)):
        first = workflows[w].first_stage
        count = workflows[w].num_stages
        reached = np.zeros(count, np.int64)
        for local in range(count):
            reached[:] = 0
            reached[local] = 1
            for t in range(local, count):
                if reached[t] == 0:
                    continue
                if t > local:
                    later[first + local, 0] += stages[first + t].prompt_tokens
                    later[first + local, 1] += hidden[first + t].output_tokens
                start = hidden[first + t].child_start
                for edge in range(start, start + hidden[first + t].num_children):
                    reached[children[edge] - first] = 1


def true_guess(episode: Episode, service: np.ndarray) -> Guess:
    """Return the truth about every stage, both quantiles alike.

    Args:
        episode: The episode.
        service: SERVICE, shape (num_models,), the one the episode was made with.

    Returns:
        The truth; T_future is the longest path of service and gap time after the stage's output.
    """
    hidden = episode.hidden
    output_tokens = hidden["output_tokens"].astype(np.float64)
    later = np.zeros((len(hidden), 2))
    _sum_later(by_name(episode.workflows), by_name(episode.stages), by_name(hidden), episode.children, later)
    future_s = np.maximum(hidden["remaining_s"] - nominal_s(episode, service, output_tokens), 0.0)
    return Guess(
        tool_probability=hidden["tool_intent"].astype(np.float64),
        output_q50_tokens=output_tokens,
        output_q90_tokens=output_tokens,
        remaining_calls=hidden["remaining_calls"].astype(np.float64),
        remaining_input_tokens=later[:, 0],
        remaining_output_tokens=later[:, 1],
        future_s_q50=future_s,
        future_s_q90=future_s,
    )
