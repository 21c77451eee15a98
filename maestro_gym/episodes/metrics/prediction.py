"""Metrics of predictions, and of how their errors go with missed deadlines."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome


def _mean_size(errors: np.ndarray) -> float:
    return share(float(np.abs(errors).sum()), len(errors))


def _relative_error(outcome: Outcome) -> np.ndarray:
    """|ln(predicted / true)| of the remaining time of each workflow at its arrival; nan where either is unknown."""
    known = (outcome.predicted_s > 0) & (outcome.nominal_s > 0)
    ratio = np.divide(outcome.predicted_s, outcome.nominal_s, out=np.full(len(known), np.nan), where=known)
    return np.abs(np.log(ratio))


def _slo_gap(outcome: Outcome) -> float:
    error = _relative_error(outcome)
    known = np.isfinite(error)
    if not known.any():
        return float("nan")
    close = error <= np.median(error[known])
    met = outcome.deadline_met
    return share(met[known & close].sum(), (known & close).sum()) - share(
        met[known & ~close].sum(), (known & ~close).sum()
    )


define(
    "prediction_mae_tokens",
    unit="tokens",
    better="lower",
    formula="mean of |predicted median - true output tokens| over stages of the episode",
    description="The error of predicted output lengths. It belongs to the predictor and is the same for all policies "
    "under it.",
    compute=lambda o: _mean_size(o.output_error_tokens),
    per_class=True,
)
define(
    "prediction_mae_missed_tokens",
    unit="tokens",
    better="neither",
    formula="the same over stages of workflows that miss their deadline",
    description="Where it is above `prediction_mae_tokens`, misses go with errors. Long answers have both larger "
    "errors and more misses, so this alone is no proof of a cause: compare the same policy under another predictor.",
    compute=lambda o: _mean_size(o.output_error_tokens[~o.deadline_met[o.stage_workflow]]),
)
define(
    "prediction_slo_gap",
    unit="1",
    better="neither",
    formula="SLO attainment of the half of the workflows with the smaller |ln(predicted T_rem / true T_rem)| at their "
    "arrival - that of the other half",
    description="How much better the workflows fare whose remaining time was predicted well. The error is relative, so "
    "that the halves do not differ by size alone. Missing where all errors are equal.",
    compute=_slo_gap,
)
