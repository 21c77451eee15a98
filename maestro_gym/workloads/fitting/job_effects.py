# pandas calls every column, group and sum a Series or a DataFrame: its own types are of no help here.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportReturnType=false, reportAttributeAccessIssue=false
"""How alike the calls of a workflow are: loadings and correlations, from normal scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata

from maestro_gym.workloads.machines.machine_spec import JobEffectsSpec


def fit_job_effects(calls: pd.DataFrame) -> JobEffectsSpec:
    """Estimate how alike the calls of a workflow are, from normal scores within their states.

    The mean product of the scores of two calls of a workflow is the share of the variance that is the
    workflow's own (intraclass correlation); its root is the loading.

    Args:
        calls: The table of calls of `calls.calls_of`, with contexts, gains and states.

    Returns:
        Loadings of output, prompt and gap on their workflow, and the correlations between these and its length.
    """
    state = calls["state"]
    prompt = calls["prompt"].where(calls["begins"])
    # The gain after a call is drawn with the next one, so it is counted there.
    gain = calls["gain"].groupby([calls["workflow"], calls["group"]]).shift(1)
    before = state.groupby([calls["workflow"], calls["group"]]).shift(1)
    scores = {
        "output": _scores(calls["output"].astype(float), state),
        "prompt": _scores(prompt, state).fillna(_scores(gain, before)),
        "gap": _scores(calls["gap"].where(~calls["last"]).astype(float), state),
    }
    inside = {name: _shared(calls["workflow"], score, score) for name, score in scores.items()}
    loading = {name: min(max(value, 0.0), 0.98) ** 0.5 for name, value in inside.items()}
    lengths = calls.groupby("workflow")["place"].transform("size")
    long = _scores(lengths.where(calls["place"] == 0).astype(float), pd.Series("", index=calls.index))
    long = calls["workflow"].map(long.groupby(calls["workflow"]).first())
    products = {
        "calls_output": _covariance(calls["workflow"], long, scores["output"]),
        "calls_prompt": _covariance(calls["workflow"], long, scores["prompt"]),
        "output_prompt": _shared(calls["workflow"], scores["output"], scores["prompt"]),
    }
    scales = {
        "calls_output": loading["output"],
        "calls_prompt": loading["prompt"],
        "output_prompt": loading["output"] * loading["prompt"],
    }
    found = {name: products[name] / scales[name] if scales[name] > 0.05 else 0.0 for name in products}
    correlations = np.array(
        [
            [1.0, found["calls_output"], found["calls_prompt"]],
            [found["calls_output"], 1.0, found["output_prompt"]],
            [found["calls_prompt"], found["output_prompt"], 1.0],
        ]
    )
    # Estimates one by one need not go together: draw them to 0 until they do.
    correlations = np.clip(correlations, -0.98, 0.98)
    np.fill_diagonal(correlations, 1.0)
    while np.linalg.eigvalsh(correlations)[0] < 0.01:
        correlations = 0.95 * correlations + 0.05 * np.eye(3)
    return JobEffectsSpec(
        output=round(loading["output"], 3),
        prompt=round(loading["prompt"], 3),
        gap=round(loading["gap"], 3),
        calls_output=round(float(correlations[0, 1]), 3),
        calls_prompt=round(float(correlations[0, 2]), 3),
        output_prompt=round(float(correlations[1, 2]), 3),
    )


def _scores(values: pd.Series, state: pd.Series) -> pd.Series:
    """Normal scores of values within their state, of unit variance; NaN where there is no value, or no spread."""

    def score(part: pd.Series) -> np.ndarray:
        ranks = rankdata(part.to_numpy(), nan_policy="omit")
        normal = ndtri((ranks - 0.5) / max(np.count_nonzero(~np.isnan(ranks)), 1))
        spread = np.nanstd(normal) if np.isfinite(normal).any() else 0.0
        return normal / spread if spread > 0 else np.full(len(normal), np.nan)

    return values.groupby(state.fillna("")).transform(score)


def _shared(workflow: pd.Series, one: pd.Series, other: pd.Series) -> float:
    """Mean product of two scores over pairs of different calls of the same workflow."""
    both = one.notna() & other.notna()
    sums = pd.DataFrame({"one": one, "other": other, "same": (one * other).where(both), "both": both.astype(float)})
    sums = sums.groupby(workflow).agg(
        {"one": ["sum", "count"], "other": ["sum", "count"], "same": "sum", "both": "sum"}
    )
    products = sums["one"]["sum"] * sums["other"]["sum"] - sums["same"]["sum"]
    pairs = float((sums["one"]["count"] * sums["other"]["count"] - sums["both"]["sum"]).sum())
    return float(products.sum()) / pairs if pairs > 0 else 0.0


def _covariance(workflow: pd.Series, of_workflow: pd.Series, score: pd.Series) -> float:
    """Mean over workflows of a score of theirs times the mean score of their calls."""
    means = pd.DataFrame({"own": of_workflow, "calls": score}).groupby(workflow).mean()
    value = float((means["own"] * means["calls"]).mean())
    return value if np.isfinite(value) else 0.0
