"""Maestro's two stages: will the stage call a tool, and then how long is its answer.

(1) A boosted classifier gives the probability that a stage calls a tool. (2) Boosted regressors of
log(1 + L) take that probability as a column: one a role where history suffices, a shared one
elsewhere. A role's own trees stand on the shared ones, so that fifty samples need not say again what
all of them said. T_future is a conditional median of history, keyed by role, place in the template,
invocation index and tool intent (Maestro F5; docs/predictors.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.predictors.boosting import OWN, SHARED, fit_classifier, fit_isotonic, fit_quantile
from maestro_gym.predictors.conditional import ConditionalTable, known_quantile, stage_keys, tabulate
from maestro_gym.predictors.features import CATEGORICAL, COLUMN, FEATURES, GROUPS, NAMES, stage_features
from maestro_gym.predictors.predictor import Guess
from maestro_gym.predictors.samples import Samples, samples_of
from maestro_gym.predictors.trees import CODES, Ensemble, constant, mean
from maestro_gym.state import Episode

ROLE_SAMPLES = 50
"""A role with so many samples has regressors of its own (the Maestro paper's threshold)."""

FOLDS = 5
"""Parts of the history, by workflow: what stage 2 and the calibration see of a stage comes from the other parts."""

RARE = 5
"""A categorical code with fewer samples counts as not known."""

_TOOL = len(FEATURES)  # the column behind the features
_QUANTILES = (0.5, 0.9)

NUM_FUTURE = 3 + len(_QUANTILES)
"""Statistics of what lies after a stage."""


@dataclass(frozen=True)
class Design:
    """Which parts the predictor has; an ablation leaves one out.

    Attributes:
        groups: Feature groups that are read.
        tool_stage: Whether the regressors are told the tool probability.
    """

    groups: tuple[str, ...] = GROUPS
    tool_stage: bool = True

    @property
    def columns(self) -> np.ndarray:
        """Columns that are read, ascending."""
        return np.array([COLUMN[name] for name in NAMES if FEATURES[name].group in self.groups])


class Lengths(NamedTuple):
    """A quantile of log(1 + output tokens): what all roles share, and what a role's own trees add to it."""

    shared: Ensemble
    own: dict[int, Ensemble]

    def evaluate(self, table: np.ndarray, roles: np.ndarray) -> np.ndarray:
        """The quantile of every row."""
        sums = self.shared.evaluate(table)
        for role in set(np.unique(roles).tolist()) & set(self.own):
            rows = np.flatnonzero(roles == role)
            sums[rows] += self.own[role].evaluate(table[rows])
        return sums


class Fitted(NamedTuple):
    """What fitting leaves: numbers alone.

    Attributes:
        codes: Known codes of each categorical column, ascending; a code's place is what trees see.
        tool: Log-odds of a tool call.
        calibration: float64, shape (points, 2): log-odds and the probability that they mean.
        lengths: log(1 + output tokens), one a quantile.
        future: Median calls, input and output tokens after a stage, then T_future, one a quantile; by key.
    """

    codes: tuple[np.ndarray, ...]
    tool: Ensemble
    calibration: np.ndarray
    lengths: tuple[Lengths, ...]
    future: ConditionalTable

    def probability(self, table: np.ndarray) -> np.ndarray:
        """Calibrated probability that a stage calls a tool."""
        return np.interp(self.tool.evaluate(table), self.calibration[:, 0], self.calibration[:, 1])


class BoostedPredictor:
    """Two-stage boosted trees.

    Attributes:
        history: What it learned from.
        design: Which parts it has.
        fitted: The models, as arrays.
    """

    def __init__(self, history: Samples, design: Design | None = None, fitted: Fitted | None = None) -> None:
        """Fit, unless that has been done.

        Args:
            history: Stages of the training split.
            design: Which parts; None: all.
            fitted: What the same history and design gave before.

        Raises:
            MaestroError: History holds no finished workflow.
        """
        if not np.any(np.isfinite(history.truth.future_s_q50)):
            raise MaestroError(
                "boosted: the history holds no finished workflow, so that nothing can be learned of T_rem."
            )
        self.history = history
        self.design = design or Design()
        self.fitted = fitted or _fit(history, self.design)

    def guess(self, episode: Episode, service: np.ndarray, key: int) -> Guess:
        """Predict every stage; see ``Predictor.guess``."""
        del service, key
        return self.predict(stage_features(episode))

    def predict(self, features: np.ndarray) -> Guess:
        """Predict from what is known of stages.

        Args:
            features: float64, shape (S, len(FEATURES)), from ``stage_features``.

        Returns:
            The guess, by stage; lengths are not yet held to the client's limit.
        """
        fitted, roles = self.fitted, features[:, COLUMN["role"]].astype(np.int64)
        table = _encode(features, fitted.codes)
        table[:, _TOOL] = fitted.probability(table)
        logs = [lengths.evaluate(table, roles) for lengths in fitted.lengths]
        tool = table[:, _TOOL]
        keys = _keys(features, self.design)
        calm, called = (fitted.future.look_up([2 * level + intent for level in keys]) for intent in (0, 1))
        future = calm + (called - calm) * tool[:, None]
        return Guess(tool, *(np.expm1(log) for log in logs), *future.T)

    def learn(self, episode: Episode, service: np.ndarray, finished: np.ndarray) -> Self:
        """Learn from a past episode too; see ``Learner.learn``. Fits anew."""
        return type(self)(self.history.join(samples_of(episode, service, finished)), self.design)


def _fit(history: Samples, design: Design) -> Fitted:
    features, truth = history.features, history.truth
    codes = tuple(_frequent(features[:, column]) for column in CATEGORICAL)
    table = _encode(features, codes)
    columns = design.columns
    called = truth.tool_probability > 0.5
    numbers = np.unique(history.workflow, return_inverse=True)[1]
    folds = numbers % min(FOLDS, int(numbers.max()) + 1)
    tool, log_odds = _fit_tool(table, called, folds, columns)
    calibration = fit_isotonic(log_odds, called)
    if design.tool_stage:
        table[:, _TOOL] = np.interp(log_odds, calibration[:, 0], calibration[:, 1])
        columns = np.append(columns, _TOOL)
    target = np.log1p(truth.output_q50_tokens)
    roles = features[:, COLUMN["role"]].astype(np.int64)
    lengths = tuple(_fit_lengths(table, target, roles, columns, quantile) for quantile in _QUANTILES)
    margin = _margin(table, target, roles, columns, folds)
    lengths[-1].shared.start[:] += margin
    return Fitted(codes, tool, calibration, lengths, _fit_future(history, design))


def _fit_lengths(
    table: np.ndarray, target: np.ndarray, roles: np.ndarray, columns: np.ndarray, quantile: float
) -> Lengths:
    shared = fit_quantile(table, target, columns, quantile, SHARED)
    left = target - shared.evaluate(table)
    own: dict[int, Ensemble] = {}
    for role in np.flatnonzero(np.bincount(roles) >= ROLE_SAMPLES) if COLUMN["role"] in columns else ():
        rows = roles == role
        own[int(role)] = fit_quantile(table[rows], left[rows], columns, quantile, OWN)
    return Lengths(shared, own)


def _margin(table: np.ndarray, target: np.ndarray, roles: np.ndarray, columns: np.ndarray, folds: np.ndarray) -> float:
    """By how much the upper quantile must be raised for new workflows to stay below it as often as it says.

    Trees hug the extremes of the samples that they were fitted to; how far new ones lie above is read off
    the parts of the history that a fit has not seen (conformalized quantile regression, Romano et al.,
    NeurIPS 2019).
    """
    if folds.max() == 0:
        return 0.0
    above = np.empty(len(target))
    for fold in range(folds.max() + 1):
        inside = folds == fold
        part = _fit_lengths(table[~inside], target[~inside], roles[~inside], columns, _QUANTILES[-1])
        above[inside] = target[inside] - part.evaluate(np.ascontiguousarray(table[inside]), roles[inside])
    return float(np.quantile(above, _QUANTILES[-1]))


def _fit_tool(
    table: np.ndarray, called: np.ndarray, folds: np.ndarray, columns: np.ndarray
) -> tuple[Ensemble, np.ndarray]:
    """Fit stage 1 to all parts of the history but one, in turn.

    Returns:
        The mean of these fits, for new stages; and of every sample, what the fit without its part thinks of it.
    """
    if folds.max() == 0:
        rate = constant(0.0)
        return rate, rate.evaluate(table)
    log_odds = np.empty(len(table))
    fits = []
    for fold in range(folds.max() + 1):
        inside = folds == fold
        fits.append(fit_classifier(table[~inside], called[~inside], columns))
        log_odds[inside] = fits[-1].evaluate(np.ascontiguousarray(table[inside]))
    return mean(fits), log_odds


def _fit_future(history: Samples, design: Design) -> ConditionalTable:
    truth = history.truth
    intent = (truth.tool_probability > 0.5).astype(np.int64)

    def summarise(chosen: np.ndarray) -> list[float]:
        medians = (truth.remaining_calls, truth.remaining_input_tokens, truth.remaining_output_tokens)
        return [
            *(known_quantile(values[chosen], 0.5) for values in medians),
            *(known_quantile(truth.future_s_q50[chosen], quantile) for quantile in _QUANTILES),
        ]

    return tabulate([2 * level + intent for level in _keys(history.features, design)], summarise)


def _keys(features: np.ndarray, design: Design) -> list[np.ndarray]:
    names = {"role": "role", "invocation_index": "invocation", "depth": "position"}
    kept = (features[:, COLUMN[name]] * (group in design.groups) for name, group in names.items())
    return stage_keys(*(values.astype(np.int64) for values in kept))


def _frequent(values: np.ndarray) -> np.ndarray:
    """Codes with enough samples to be told apart, at most as many as trees can tell."""
    codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    often = np.argsort(-counts, kind="stable")[: CODES - 2]
    return np.sort(codes[often[counts[often] >= RARE]])


def _encode(features: np.ndarray, codes: tuple[np.ndarray, ...]) -> np.ndarray:
    """Copy features, a column for the tool probability behind them, codes in place of names, nan where not known."""
    table = np.zeros((len(features), len(FEATURES) + 1))
    table[:, : len(FEATURES)] = features
    for column, known in zip(CATEGORICAL, codes, strict=True):
        at = np.searchsorted(known, features[:, column])
        place = np.minimum(at, max(len(known) - 1, 0))
        match = known[place] == features[:, column] if len(known) else np.zeros(len(features), bool)
        table[:, column] = np.where(match, place, np.nan)
    return table
