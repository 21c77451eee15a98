"""Fits boosted trees with scikit-learn; the only module that imports it, and only to fit.

LightGBM, which the Maestro paper uses, and scikit-learn's HistGradientBoosting are the same
algorithm: histograms of binned columns, leaf-wise growth (Ke et al., "LightGBM", NeurIPS 2017).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from maestro_gym.predictors.features import CATEGORICAL
from maestro_gym.predictors.trees import CATEGORY, LEAF, NODE, NUMBER, WORDS, Ensemble, constant

LEARNING_RATE = 0.05
MIN_LEAF = 20  # samples


class Size(NamedTuple):
    """How large an ensemble grows."""

    trees: int
    leaves: int


# Chosen by cross-validation on the history of the maestro family and on two public traces.
SHARED = Size(trees=150, leaves=15)
OWN = Size(trees=40, leaves=4)
"""Of a role's own trees, which stand on the shared ones: larger ones fitted the noise of small roles."""


def fit_classifier(table: np.ndarray, called: np.ndarray, columns: np.ndarray) -> Ensemble:
    """Fit the log-odds of an event.

    Args:
        table: float64, shape (S, len(FEATURES) or more), codes already dense.
        called: bool, shape (S,).
        columns: Columns that it may read, ascending.

    Returns:
        Trees whose sum is the log-odds.
    """
    rate = float(called.mean())
    if rate in (0.0, 1.0):
        return constant(40.0 if rate else -40.0)
    from sklearn.ensemble import HistGradientBoostingClassifier

    return _fit(HistGradientBoostingClassifier, table, called, columns, SHARED)


def fit_quantile(table: np.ndarray, values: np.ndarray, columns: np.ndarray, quantile: float, size: Size) -> Ensemble:
    """Fit a conditional quantile.

    Args:
        table: As in ``fit_classifier``.
        values: float64, shape (S,).
        columns: As in ``fit_classifier``.
        quantile: In (0, 1).
        size: Of the ensemble.

    Returns:
        Trees whose sum is the quantile.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    return _fit(HistGradientBoostingRegressor, table, values, columns, size, loss="quantile", quantile=quantile)


def _fit(kind: Any, table: np.ndarray, target: np.ndarray, columns: np.ndarray, size: Size, **loss: Any) -> Ensemble:  # noqa: ANN401
    columns = np.array([column for column in columns if _tells(table[:, column])], np.int64)
    if len(columns) == 0:
        # Nothing to split on: the same answer for all is what the trees would end with.
        table, columns = np.zeros((len(table), 1)), np.zeros(1, np.int64)
    categorical = [place for place, column in enumerate(columns) if column in CATEGORICAL]
    model = kind(
        max_iter=size.trees,
        max_leaf_nodes=size.leaves,
        learning_rate=LEARNING_RATE,
        min_samples_leaf=MIN_LEAF,
        early_stopping=False,
        categorical_features=categorical or None,
        random_state=0,
        **loss,
    )
    # One thread: sums then add up in one order, so that the same history gives the same trees on any number of
    # cores; and histograms of so few samples are not worth the threads' waiting (measured: half the time).
    with threadpool_limits(1, user_api="openmp"):
        model.fit(np.ascontiguousarray(table[:, columns]), target)
    return _as_arrays(model, columns)


def _tells(values: np.ndarray) -> bool:
    """Whether a column has two values that a split could part; missing is a value."""
    missing = np.isnan(values)
    known = values[~missing]
    return len(known) > 0 and bool(missing.any() or known.min() < known.max())


def _as_arrays(model: Any, columns: np.ndarray) -> Ensemble:  # noqa: ANN401 - two classes of scikit-learn
    """Copy the trees out of a fitted model (a test holds the copy against the model's own predictions)."""
    categories: list[np.ndarray] = []
    if model._preprocessor is not None:
        categories = model._preprocessor.named_transformers_["encoder"].categories_
    trees = [stage[0] for stage in model._predictors]
    sizes = [len(tree.nodes) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
    nodes = np.zeros(sum(sizes), NODE)
    bits: list[np.ndarray] = []
    for root, tree in zip(roots, trees, strict=True):
        made, own = tree.nodes, nodes[root : root + len(tree.nodes)]
        is_leaf, by_code = made["is_leaf"] == 1, made["is_categorical"] == 1
        own["kind"] = np.where(is_leaf, LEAF, np.where(by_code, CATEGORY, NUMBER))
        own["threshold"], own["value"] = made["num_threshold"], made["value"]
        own["column"] = columns[made["feature_idx"]]
        own["left"], own["right"] = made["left"] + root, made["right"] + root
        own["nan_left"] = made["missing_go_to_left"]
        for index in np.flatnonzero(by_code & ~is_leaf):
            own["bits"][index] = len(bits) * WORDS
            left = tree.raw_left_cat_bitsets[made["bitset_idx"][index]]
            bits.append(_codes_left(left, categories[made["feature_idx"][index]], bool(own["nan_left"][index])))
    words = np.concatenate(bits) if bits else np.zeros(0, np.uint32)
    return Ensemble(np.array([float(np.ravel(model._baseline_prediction)[0])]), roots, nodes, words)


def _codes_left(places_left: np.ndarray, categories: np.ndarray, nan_left: bool) -> np.ndarray:
    """Turn a set of the encoder's places into a set of codes; a code that the fit never saw goes where nan goes."""
    codes = categories[~np.isnan(categories)].astype(np.int64)
    places = np.arange(len(codes))
    known_left = (places_left[places // 32] >> (places % 32).astype(np.uint32)) & 1
    left = np.full(WORDS * 32, nan_left)
    left[codes] = known_left == 1
    return np.packbits(left, bitorder="little").view("<u4").astype(np.uint32)


def fit_isotonic(log_odds: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Fit the probability that log-odds mean, by isotonic regression.

    Args:
        log_odds: float64, shape (S,), of samples that the classifier was not fitted to.
        called: bool, shape (S,).

    Returns:
        float64, shape (points, 2): log-odds, ascending, and probability; linear between them, constant outside.
    """
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(log_odds, called)
    return np.column_stack([model.X_thresholds_, model.y_thresholds_])
