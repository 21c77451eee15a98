from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from maestro_gym.config import PredictorConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.predictors import OraclePredictor, RoleMedianPredictor, annotate, record, samples_of
from maestro_gym.state import Episode

KINDS = ("oracle", "boosted", "role_median", "constant", "noisy")


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_ordered_bounded_and_consistent(
    kind: str, episode: Episode, history: Episode, service: np.ndarray
) -> None:
    made = annotate(episode, service, PredictorConfig(kind=kind), 5, history).predictions
    for name in made.dtype.names:
        assert np.all(np.isfinite(made[name])), name
        assert np.all(made[name] >= 0), name
    assert np.all(made["tool_probability"] <= 1)
    assert np.all(made["output_q50_tokens"] >= 1)
    assert np.all(made["output_q50_tokens"] <= made["output_q90_tokens"])
    assert np.all(made["output_q90_tokens"] <= episode.stages["max_output_tokens"])
    assert np.all(made["remaining_s_q50"] <= made["remaining_s_q90"])
    row = service[episode.stages["model"]]
    prefill_s = row["prefill_base_s"] + row["prefill_s_per_token"] * episode.stages["prompt_tokens"]
    current_s = prefill_s + row["decode_s_per_token"] * made["output_q50_tokens"]
    assert made["remaining_s_q50"] == pytest.approx(current_s + made["future_s_q50"])


@pytest.mark.parametrize("kind", KINDS)
def test_annotating_leaves_the_episode_as_it_was_and_repeats_exactly(
    kind: str, episode: Episode, history: Episode, service: np.ndarray
) -> None:
    before = [part.copy() for part in episode]
    once, again = (annotate(episode, service, PredictorConfig(kind=kind), 5, history) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(before, episode, strict=True))
    assert np.array_equal(once.predictions, again.predictions)
    assert all(a is b for a, b in zip(once, episode, strict=True) if a is not once.predictions)


def test_the_oracle_is_exact(episode: Episode, service: np.ndarray) -> None:
    made = record(episode, service, OraclePredictor().guess(episode, service, 0)).predictions
    hidden = episode.hidden
    assert np.array_equal(made["output_q50_tokens"], hidden["output_tokens"])
    assert np.array_equal(made["output_q90_tokens"], hidden["output_tokens"])
    assert np.array_equal(made["tool_probability"], hidden["tool_intent"])
    assert np.array_equal(made["remaining_calls"], hidden["remaining_calls"])
    assert made["remaining_s_q50"] == pytest.approx(hidden["remaining_s"])


def test_the_oracle_adds_up_the_tokens_of_dependent_stages(episode: Episode, service: np.ndarray) -> None:
    guess = OraclePredictor().guess(episode, service, 0)
    hidden = episode.hidden
    for s in range(300):
        seen, stack = set(), [s]
        while stack:
            start = hidden["child_start"][stack[-1]]
            found = episode.children[start : start + hidden["num_children"][stack.pop()]].tolist()
            stack += [child for child in found if child not in seen]
            seen |= set(found)
        later = sorted(seen)
        assert guess.remaining_input_tokens[s] == episode.stages["prompt_tokens"][later].sum()
        assert guess.remaining_output_tokens[s] == hidden["output_tokens"][later].sum()


@pytest.mark.parametrize("mae", [20.0, 100.0, 165.43])
def test_noisy_misses_by_the_mean_absolute_error_asked_for(mae: float, episode: Episode, service: np.ndarray) -> None:
    made = annotate(episode, service, PredictorConfig(kind="noisy", mae_tokens=mae), 5)
    error = np.abs(made.predictions["output_q50_tokens"] - episode.hidden["output_tokens"])
    assert error.mean() == pytest.approx(mae, rel=1e-3)


def test_noisy_covers_nine_lengths_in_ten(episode: Episode, service: np.ndarray) -> None:
    made = annotate(episode, service, PredictorConfig(kind="noisy"), 5).predictions
    covered = np.mean(episode.hidden["output_tokens"] <= made["output_q90_tokens"])
    assert covered == pytest.approx(0.9, abs=0.04)


def test_noisy_without_error_is_the_oracle(episode: Episode, service: np.ndarray) -> None:
    exact = annotate(episode, service, PredictorConfig(kind="noisy", mae_tokens=0.0, auc=1.0), 5)
    oracle = annotate(episode, service, PredictorConfig(kind="oracle"), 5)
    for name in exact.predictions.dtype.names:
        assert exact.predictions[name] == pytest.approx(oracle.predictions[name]), name


@pytest.mark.parametrize("auc", [0.7, 0.9625])
def test_the_noisy_tool_classifier_has_its_auc(auc: float, episode: Episode, service: np.ndarray) -> None:
    has_tools = episode.stages["tools_available"] > 0
    got = []
    for key in range(10):
        made = annotate(episode, service, PredictorConfig(kind="noisy", auc=auc), key).predictions
        got.append(roc_auc_score(episode.hidden["tool_intent"][has_tools], made["tool_probability"][has_tools]))
        assert np.all(made["tool_probability"][~has_tools] == 0)
    assert np.mean(got) == pytest.approx(auc, abs=0.015)


def test_another_key_gives_other_noise(episode: Episode, service: np.ndarray) -> None:
    one, two = (annotate(episode, service, PredictorConfig(kind="noisy"), key).predictions for key in (1, 2))
    assert not np.array_equal(one, two)


def test_the_constant_says_the_same_of_all(episode: Episode, service: np.ndarray) -> None:
    made = annotate(episode, service, PredictorConfig(kind="constant", constant_tokens=100.0), 5).predictions
    assert set(made["output_q50_tokens"]) == {100.0}
    assert np.all(made["future_s_q50"] == 0)


def test_role_medians_are_those_of_history(episode: Episode, history: Episode, service: np.ndarray) -> None:
    made = annotate(episode, service, PredictorConfig(kind="role_median"), 5, history).predictions
    role = int(np.bincount(episode.stages["role"][episode.stages["depth"] == 0]).argmax())
    past = (history.stages["role"] == role) & (history.stages["depth"] == 0)
    now = (episode.stages["role"] == role) & (episode.stages["depth"] == 0)
    assert set(made["output_q50_tokens"][now]) == {float(np.median(history.hidden["output_tokens"][past]))}


def test_a_role_without_history_falls_back_to_all_roles(history: Episode, service: np.ndarray) -> None:
    stranger = history._replace(stages=history.stages.copy())
    stranger.stages["role"] = 999
    guess = RoleMedianPredictor(samples_of(history, service)).guess(stranger, service, 0)
    assert set(guess.output_q50_tokens) == {float(np.median(history.hidden["output_tokens"]))}


def test_role_medians_beat_the_constant(episode: Episode, history: Episode, service: np.ndarray) -> None:
    def error(kind: str) -> float:
        made = annotate(episode, service, PredictorConfig(kind=kind), 5, history).predictions
        return float(np.abs(made["output_q50_tokens"] - episode.hidden["output_tokens"]).mean())

    assert error("role_median") < error("constant")


@pytest.mark.parametrize("kind", ["role_median", "boosted"])
def test_a_predictor_that_learns_is_refused_without_history(kind: str, episode: Episode, service: np.ndarray) -> None:
    with pytest.raises(MaestroError, match=f"{kind} learns from past workflows"):
        annotate(episode, service, PredictorConfig(kind=kind), 5)
