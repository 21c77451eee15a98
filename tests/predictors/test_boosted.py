"""The two stages: trees that are scikit-learn's, probabilities that mean what they say, learning from what is done."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from maestro_gym.core.errors import MaestroError
from maestro_gym.predictors import BoostedPredictor, Design, RoleMedianPredictor, Samples, samples_of
from maestro_gym.predictors.boosting import SHARED, _as_arrays, fit_quantile
from maestro_gym.predictors.features import COLUMN
from maestro_gym.predictors.predictor import Guess
from maestro_gym.state import Episode
from maestro_gym.workloads import FamilyWorkload


@pytest.fixture(scope="module")
def predictor(samples: Samples) -> BoostedPredictor:
    return BoostedPredictor(samples)


@pytest.mark.parametrize("kind", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_trees_as_arrays_say_exactly_what_scikit_learn_says(kind: type) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1500, 5))
    table[:, 0] = rng.integers(0, 40, 1500) * 3  # codes with holes
    table[rng.random(table.shape) < 0.1] = np.nan
    target = np.nan_to_num(table[:, 0]) % 2 + np.nan_to_num(table[:, 1]) > 0.7
    model = kind(categorical_features=[0], max_iter=40).fit(table[:1000], target[:1000])
    table[1400:, 0] = 200  # a code that the fit never saw
    ours = _as_arrays(model, np.arange(5)).evaluate(table)
    assert ours == pytest.approx(model._raw_predict(table)[:, 0], rel=1e-12, abs=1e-12)


def test_a_table_that_tells_nothing_gives_the_quantile_itself() -> None:
    ensemble = fit_quantile(np.full((101, 3), np.nan), np.arange(101.0), np.arange(3), 0.9, SHARED)
    assert ensemble.evaluate(np.zeros((2, 3))) == pytest.approx(90.0)


def test_the_same_history_gives_the_same_trees(samples: Samples, predictor: BoostedPredictor) -> None:
    again = BoostedPredictor(samples)
    assert np.array_equal(again.fitted.tool.nodes, predictor.fitted.tool.nodes)
    assert all(
        np.array_equal(a, b) for a, b in zip(*(p.predict(samples.features) for p in (again, predictor)), strict=True)
    )


def test_fresh_workflows_are_predicted_better_than_by_one_length(
    predictor: BoostedPredictor, episode: Episode, service: np.ndarray
) -> None:
    made, truth = predictor.guess(episode, service, 0), samples_of(episode, service).truth
    error = np.abs(made.output_q50_tokens - truth.output_q50_tokens).mean()
    best_constant = np.abs(np.median(truth.output_q50_tokens) - truth.output_q50_tokens).mean()
    assert error < 0.75 * best_constant
    assert np.mean(truth.output_q50_tokens > made.output_q50_tokens) == pytest.approx(0.5, abs=0.06)
    assert np.mean(truth.output_q50_tokens > made.output_q90_tokens) == pytest.approx(0.1, abs=0.03)


def test_tool_probabilities_mean_what_they_say(
    predictor: BoostedPredictor, episode: Episode, service: np.ndarray
) -> None:
    probability = predictor.guess(episode, service, 0).tool_probability
    called = episode.hidden["tool_intent"]
    edges = np.quantile(probability, np.linspace(0, 1, 6))
    for low, high in pairwise(edges):
        inside = (probability >= low) & (probability <= high)
        assert called[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.08)
    assert np.all(probability[episode.stages["tools_available"] == 0] < 0.05)


def test_a_role_with_too_few_samples_has_the_shared_trees(samples: Samples, predictor: BoostedPredictor) -> None:
    counts = np.bincount(samples.features[:, COLUMN["role"]].astype(int))
    assert set(predictor.fitted.lengths[0].own) == set(np.flatnonzero(counts >= 50).tolist())
    assert 0 < (counts < 50).sum() < len(counts)


def test_a_role_that_nobody_has_seen_is_answered(predictor: BoostedPredictor, samples: Samples) -> None:
    strange = samples.features[:50].copy()
    strange[:, COLUMN["role"]] = 7777
    assert all(np.isfinite(values).all() for values in predictor.predict(strange))


def test_the_regressors_are_told_the_tool_probability_unless_the_design_says_no(
    samples: Samples, predictor: BoostedPredictor
) -> None:
    tool_column = samples.features.shape[1]
    untold = BoostedPredictor(samples, Design(tool_stage=False))
    assert tool_column in predictor.fitted.lengths[0].shared.nodes["column"]
    assert tool_column not in untold.fitted.lengths[0].shared.nodes["column"]


def test_a_group_left_out_is_not_read(samples: Samples) -> None:
    predictor = BoostedPredictor(samples, Design(groups=("prompt",)))
    scrambled = samples.features.copy()
    for name in ("role", "depth", "invocation_index", "tools_available", "parent_output_tokens"):
        scrambled[:, COLUMN[name]] = scrambled[::-1, COLUMN[name]]
    for own, its in zip(predictor.predict(samples.features), predictor.predict(scrambled), strict=True):
        assert np.array_equal(own, its)
    assert not predictor.fitted.lengths[0].own


def test_stage_two_never_sees_a_probability_fitted_to_its_own_sample(samples: Samples) -> None:
    """Intents that are pure noise cannot be learned, so out of fold their probabilities must not tell them."""
    from maestro_gym.predictors.boosted import _encode, _fit_tool, _frequent

    rng = np.random.default_rng(0)
    noise = rng.random(len(samples)) < 0.5
    table = _encode(samples.features, tuple(_frequent(samples.features[:, c]) for c in range(3)))
    whole, out_of_fold = _fit_tool(table, noise, samples.workflow % 5, np.arange(samples.features.shape[1]))
    inside = whole.evaluate(table)
    assert abs(np.corrcoef(out_of_fold, noise)[0, 1]) < 0.1
    assert np.corrcoef(inside, noise)[0, 1] > 0.3


@pytest.fixture(params=["boosted", "role_median"])
def learner(request: pytest.FixtureRequest, samples: Samples) -> BoostedPredictor | RoleMedianPredictor:
    """What learns; nothing is left in it by learning, which the tests below show, so that one of each will do."""
    return request.getfixturevalue("predictor") if request.param == "boosted" else RoleMedianPredictor(samples)


def test_learning_gives_another_predictor_and_leaves_this_one(
    learner: BoostedPredictor | RoleMedianPredictor,
    samples: Samples,
    workload: FamilyWorkload,
    service: np.ndarray,
) -> None:
    before = learner.predict(samples.features)
    past = workload.episode(8, 2.0, 300.0, service)
    longer = past._replace(hidden=past.hidden.copy())
    longer.hidden["output_tokens"] = np.minimum(past.hidden["output_tokens"] * 4, past.stages["max_output_tokens"])
    later = learner.learn(longer, service, np.ones(len(past.stages), bool))
    assert all(np.array_equal(a, b) for a, b in zip(before, learner.predict(samples.features), strict=True))
    assert later.predict(samples.features).output_q50_tokens.mean() > 1.2 * before.output_q50_tokens.mean()


def test_nothing_is_learned_of_stages_that_did_not_finish(
    learner: BoostedPredictor | RoleMedianPredictor,
    samples: Samples,
    workload: FamilyWorkload,
    service: np.ndarray,
) -> None:
    past = workload.episode(8, 2.0, 100.0, service)
    finished = past.stages["depth"] == 0
    changed = past._replace(hidden=past.hidden.copy())
    for name in ("output_tokens", "tool_intent", "remaining_s", "remaining_calls"):
        changed.hidden[name][~finished] = 1
    own, its = (learner.learn(e, service, finished).predict(samples.features) for e in (past, changed))
    assert all(np.array_equal(a, b) for a, b in zip(own, its, strict=True))


def test_what_lies_after_a_stage_is_learned_from_finished_workflows_only(
    workload: FamilyWorkload, service: np.ndarray
) -> None:
    past = workload.episode(8, 2.0, 100.0, service)
    finished = past.stages["depth"] < 2
    part = samples_of(past, service, finished)
    whole = np.bincount(past.stages["workflow"][~finished], minlength=len(past.workflows)) == 0
    known = whole[past.stages["workflow"][finished]]
    assert np.array_equal(np.isfinite(part.truth.remaining_calls), known)
    assert np.isfinite(part.truth.output_q50_tokens).all()
    with pytest.raises(MaestroError, match="no finished workflow"):
        BoostedPredictor(part.take(~known))


def test_a_stage_cannot_finish_before_what_it_depends_on(episode: Episode, service: np.ndarray) -> None:
    with pytest.raises(MaestroError, match="depends on"):
        samples_of(episode, service, episode.stages["depth"] > 0)
    with pytest.raises(MaestroError, match="a flag for each"):
        samples_of(episode, service, np.ones(3, bool))


def test_a_history_forgets_its_oldest_workflows(samples: Samples) -> None:
    joined = samples.join(samples, most=len(samples) + 10)
    assert len(samples) + 10 <= len(joined) < 2 * len(samples)
    assert np.array_equal(joined.features[-len(samples) :], samples.features, equal_nan=True)
    first = joined.workflow == joined.workflow[0]
    assert first.sum() == (samples.workflow == joined.workflow[0]).sum()


def test_a_history_of_one_workflow_and_one_kind_of_stage_is_enough(samples: Samples) -> None:
    one = samples.take(samples.workflow == 0)
    calm = Samples(one.features, one.workflow, Guess(*(values * 0 + 5 for values in one.truth)))
    made = BoostedPredictor(calm).predict(samples.features[:20])
    assert np.all(np.isfinite(made.output_q50_tokens))
