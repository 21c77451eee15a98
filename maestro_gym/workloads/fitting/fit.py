# pandas calls every column, group and sum a Series or a DataFrame: its own types are of no help here.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportReturnType=false, reportAttributeAccessIssue=false
"""Fits a state machine to the workflows of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import ks_2samp, rankdata

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import CLASS_NAMES
from maestro_gym.workloads.applications.spec import SIZE_CLASSES
from maestro_gym.workloads.laws import fit_quantiles
from maestro_gym.workloads.machines.machine_spec import (
    END,
    ContinuationSpec,
    JobEffectsSpec,
    MachineRoleSpec,
    MachineSpec,
    StateSpec,
    YouthSpec,
)
from maestro_gym.workloads.traces.format import Trace

OTHER = "other"
"""Role, or tool, of what is too rare for laws of its own."""


_SPLIT_DISTANCE = 0.5
_YOUTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_LEAST_YOUTH = 0.2


class FitOptions(NamedTuple):
    """Choices that a trace does not make.

    Attributes:
        sizes: role, or its part before the slash -> size of deployment it prefers; ``*``: all others.
        min_calls: roles, and tools of a role, with fewer calls are thrown together.
        applications: applications to fit; empty: all.
    """

    sizes: Mapping[str, str] = {}
    min_calls: int = 30
    applications: Sequence[str] = ()


def fit_machines(trace: Trace, options: FitOptions) -> tuple[dict[str, MachineSpec], int, int]:
    """Fit a machine to every application of a trace.

    Args:
        trace: the trace.
        options: what the trace does not say.

    Returns:
        Machines by application, each with its number of workflows as share; workflows and calls fitted.

    Raises:
        MaestroError: there is nothing to fit, or workflows run calls side by side, which a walk cannot.
    """
    wanted = list(options.applications) or list(trace.application_names)
    for name in wanted:
        if name not in trace.application_names:
            raise MaestroError(
                f"{trace.source}: has no application `{name}`; it has {', '.join(trace.application_names)}."
            )
    calls = _calls(trace)
    machines, num_workflows, num_calls = {}, 0, 0
    for name in wanted:
        mine = calls[calls["application"] == trace.application_names.index(name)]
        machines[name] = _fit_machine(trace, mine.reset_index(drop=True), options)
        num_workflows += mine["workflow"].nunique()
        num_calls += len(mine)
    return machines, num_workflows, num_calls


def _calls(trace: Trace) -> pd.DataFrame:
    """Lay a trace out as one row a call, and make sure that workflows are chains."""
    stages, hidden = trace.stages, trace.hidden
    owner = stages["workflow"]
    place = np.arange(len(stages)) - trace.workflows["first_stage"][owner]
    counts = np.diff(trace.parent_start)
    chained = counts == (place > 0)
    chained[counts == 1] &= trace.parents[trace.parent_start[:-1][counts == 1]] == place[counts == 1] - 1
    if not chained.all():
        at = int(np.argmin(chained))
        broken = len(np.unique(owner[~chained]))
        raise MaestroError(
            f"{trace.source}: row {int(trace.rows[at])}: {broken} of {len(trace.workflows)} workflows run calls side "
            "by side; a state machine is a chain. Replay the trace itself (workload.trace=FILE), or write the family "
            "by hand with `fan_out` steps."
        )
    return pd.DataFrame(
        {
            "workflow": owner,
            "place": place,
            "application": trace.workflows["application"][owner],
            "arrival_s": trace.workflows["arrival_s"][owner],
            "role": np.array(trace.role_names, object)[stages["role"]],
            "tool": np.where(
                hidden["tool_intent"] == 1,
                np.array([name or "tool" for name in trace.tool_names], object)[trace.tools],
                "",
            ),
            "prompt": stages["prompt_tokens"],
            "output": hidden["output_tokens"],
            "gap": hidden["tool_gap_s"],
            "group": stages["ctx_group"],
            "system": stages["sys_prefix_tokens"],
            "limit": stages["max_output_tokens"],
            "tools": stages["tools_available"],
        }
    )


def _fit_machine(trace: Trace, calls: pd.DataFrame, options: FitOptions) -> MachineSpec:
    calls = _lump(calls, options.min_calls)
    _mark_contexts(calls)
    names = calls["role"] + np.where(calls["tool"] != "", ":" + calls["tool"], "")
    calls["state"] = names = _split(calls, names, options.min_calls)
    calls["last"] = calls["workflow"] != calls["workflow"].shift(-1)
    calls["after"] = names.shift(-1).where(~calls["last"], END)
    threads = _threads(calls)
    keep = _gains(calls)
    youth = _youth(calls)
    first = trace.workflows[calls["workflow"].iloc[0]]
    lengths = calls.groupby("workflow", sort=False).size()
    order = calls["state"].value_counts().index
    states = {}
    for name in order:
        states[name] = _state(calls[calls["state"] == name], keep.get(name, True), calls)
    starts = calls.loc[calls["place"] == 0, "state"].value_counts(normalize=True)
    roles = {}
    # Roles of one context share its model and its system prompt: the largest size asked for, the least in common.
    thread_of = calls["role"].map(lambda role: threads[role] or role)
    sizes = {
        thread: max((_size(str(role), options.sizes) for role in part.unique()), key=SIZE_CLASSES.index)
        for thread, part in calls["role"].groupby(thread_of)
    }
    system = calls["system"].groupby([thread_of, calls["role"]]).median().groupby(level=0).min()
    for role, mine in calls.groupby("role", sort=False):
        thread = threads[str(role)] or role
        roles[str(role)] = MachineRoleSpec(
            size=sizes[thread],  # type: ignore[arg-type]
            max_output_tokens=int(mine["limit"].max()),
            system_tokens=int(system[thread]),
            tools=int(max(mine["tools"].max(), (mine["tool"] != "").any())),
            thread=threads[str(role)],
        )
    return MachineSpec.model_validate(
        {
            "class": CLASS_NAMES[first["cls"]],
            "share": float(len(lengths)),
            "deadline_s": float(first["deadline_s"]),
            "ttft_limit_s": float(first["ttft_limit_s"]),
            "weight": float(first["weight"]),
            "calls": fit_quantiles(lengths.to_numpy()),
            "youth": youth,
            "job_effects": _job_effects(calls),
            "continues": _continuation(calls),
            "roles": roles,
            "start": {str(name): _chance(value) for name, value in starts.items()},
            "states": states,
        }
    )


def _lump(calls: pd.DataFrame, min_calls: int) -> pd.DataFrame:
    calls = calls.copy()
    counts = calls["role"].map(calls["role"].value_counts())
    calls.loc[counts < min_calls, "role"] = OTHER
    pairs = calls["role"] + "\0" + calls["tool"]
    rare = (pairs.map(pairs.value_counts()) < min_calls) & (calls["tool"] != "")
    calls.loc[rare, "tool"] = OTHER
    return calls


def _split(calls: pd.DataFrame, names: pd.Series, min_calls: int) -> pd.Series:
    """Make states of their own of calls whose outputs tell what came before them.

    A call after one state may be another kind of call than the same role's call after another state, without
    a name of its own in the log (a planner that thinks, or hands over). It is, where the outputs after the one and
    after all others are further apart than ``_SPLIT_DISTANCE`` (Kolmogorov-Smirnov), or where the chances that the
    context is made afresh afterwards are, both with enough calls.
    """
    before = names.shift(1).where(calls["place"] > 0, "")
    split = names.copy()
    for name, mine in calls.groupby(names, sort=False):
        output, earlier = mine["output"], before[mine.index]
        rest = pd.Series(True, mine.index)
        for previous, count in earlier.value_counts().items():
            after = earlier == previous
            others = rest & ~after
            if previous == "" or count < min_calls or others.sum() < min_calls:
                continue
            reset = mine["shrank"].astype(float)
            apart = max(
                float(np.asarray(ks_2samp(output[after], output[others]))[0]),
                abs(reset[after].mean() - reset[others].mean()),
            )
            if apart > _SPLIT_DISTANCE:
                split[mine.index[after]] = f"{name} after {previous}"
                rest = others
    return split


def _threads(calls: pd.DataFrame) -> dict[str, str | None]:
    """Name the context of every role: roles that extend one context in some workflow share a thread."""
    roles = [str(role) for role in calls["role"].unique()]
    root = {role: role for role in roles}

    def find(role: str) -> str:
        while root[role] != role:
            role = root[role]
        return role

    grouped = calls[calls["group"] >= 0]
    for _, members in grouped.groupby(["workflow", "group"])["role"].unique().items():
        for one, other in pairwise(members):
            root[find(str(other))] = find(str(one))
    with_context = set(grouped["role"].astype(str))
    return {role: find(role) if role in with_context else None for role in roles}


def _mark_contexts(calls: pd.DataFrame) -> None:
    """Add columns: the prompt that ``follows`` in the context, whether it ``shrank``, whether a call ``begins`` one.

    A prompt shorter than the one before means that the context was made afresh.
    """
    contexts = calls[calls["group"] >= 0].groupby("group", sort=False)["prompt"]
    calls["follows"] = contexts.shift(-1).reindex(calls.index)
    previous = contexts.shift(1).reindex(calls.index)
    calls["shrank"] = (calls["follows"] < calls["prompt"]).where(calls["follows"].notna())
    calls["begins"] = previous.isna() | (calls["prompt"] < previous)


def _gains(calls: pd.DataFrame) -> dict[str, bool]:
    """Add the column ``gain``: what a context gained until its next call, besides the output if that is kept.

    It is missing where there is no next call or the context shrank.

    Returns:
        State -> whether its output stays in its context: most of its contexts grew by it at least.
    """
    change = (calls["follows"] - calls["prompt"]).where(calls["follows"] >= calls["prompt"])
    kept = (change >= calls["output"]).where(change.notna())
    keep = {str(name): bool(share >= 0.5) for name, share in kept.groupby(calls["state"]).mean().dropna().items()}
    calls["gain"] = change - calls["output"] * calls["state"].map(lambda name: float(keep.get(name, True)))
    return keep


def _youth(calls: pd.DataFrame) -> YouthSpec | None:
    """Fit how much faster contexts grow at first, and take that out of ``gain``.

    Least squares of the gain after call n, relative to the mean gains of the states it comes from, on 1 and
    exp(-n / calls), over a few values of ``calls``.
    """
    grown = calls[["place", "gain"]].assign(usual=calls.groupby("state")["gain"].transform("mean")).dropna()
    after = grown.groupby("place").agg(gain=("gain", "sum"), usual=("usual", "sum"), size=("gain", "size"))
    after = after[after["usual"] > 0].assign(mean=lambda sums: sums["gain"] / sums["usual"])
    best: tuple[float, float, float] | None = None
    for length in _YOUTHS:
        basis = np.stack([np.ones(len(after)), np.exp(-after.index.to_numpy(float) / length)], axis=1)
        weight = np.sqrt(after["size"].to_numpy(float))
        base, excess = np.linalg.lstsq(basis * weight[:, None], after["mean"].to_numpy() * weight, rcond=None)[0]
        error = float((((basis @ [base, excess]) - after["mean"]) ** 2 * after["size"]).sum())
        if base > 0 and abs(excess / base) >= _LEAST_YOUTH and excess > -base and (best is None or error < best[0]):
            best = (error, excess / base, length)
    if len(after) < len(_YOUTHS) or best is None:
        return None
    youth = YouthSpec(extra=_chance(best[1]), calls=best[2])
    calls["gain"] /= 1.0 + youth.extra * np.exp(-calls["place"] / youth.calls)
    return youth


def _state(mine: pd.DataFrame, keeps: bool, calls: pd.DataFrame) -> StateSpec:
    begins = mine.loc[mine["begins"], "prompt"]
    gains = mine["gain"].dropna()
    gaps = mine.loc[~mine["last"], "gap"]
    shrank = mine["shrank"].dropna()
    after = mine["after"].value_counts(normalize=True)
    if mine["group"].max() >= 0 and not len(gains):
        gains = calls["gain"].dropna()
    return StateSpec(
        role=str(mine["role"].iloc[0]),
        tool=str(mine["tool"].iloc[0]),
        output_tokens=fit_quantiles(mine["output"].to_numpy()),
        prompt_tokens=fit_quantiles((begins if len(begins) else mine["prompt"]).to_numpy()),
        grows_tokens=fit_quantiles(gains.to_numpy()) if len(gains) else None,
        keeps_output=keeps,
        reset=_chance(float(shrank.mean())) if len(shrank) else 0.0,
        gap_s=fit_quantiles(gaps.to_numpy()) if len(gaps) and gaps.max() > 0 else None,
        next={str(name): _chance(value) for name, value in after.items()},
    )


def _continuation(calls: pd.DataFrame) -> ContinuationSpec | None:
    """Fit how workflows go on with the context of earlier ones."""
    grouped = calls[calls["group"] >= 0]
    ends = grouped[grouped["workflow"] != grouped.groupby("group")["workflow"].shift(-1)]
    begins = grouped[grouped["workflow"] != grouped.groupby("group")["workflow"].shift(1)]
    turns = begins.groupby("group", sort=False)
    lag_s = turns["arrival_s"].diff()
    again = lag_s.notna()
    if not again.any():
        return None
    held = (ends["prompt"] + ends["output"]).groupby(ends["group"], sort=False).shift(1).dropna()
    return ContinuationSpec(
        chance=_chance(float(again.sum()) / calls["workflow"].nunique()),
        lag_s=fit_quantiles(lag_s.dropna().to_numpy()),
        context_tokens=fit_quantiles(held.to_numpy()),
    )


def _job_effects(calls: pd.DataFrame) -> JobEffectsSpec:
    """Estimate how alike the calls of a workflow are, from normal scores within their states.

    The mean product of the scores of two calls of a workflow is the share of the variance that is the
    workflow's own (intraclass correlation); its root is the loading.
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


def _covariance(workflow: pd.Series, of_workflow: pd.Series, score: pd.Series) -> float:
    """Mean over workflows of a score of theirs times the mean score of their calls."""
    means = pd.DataFrame({"own": of_workflow, "calls": score}).groupby(workflow).mean()
    value = float((means["own"] * means["calls"]).mean())
    return value if np.isfinite(value) else 0.0


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


def _size(role: str, sizes: Mapping[str, str]) -> str:
    return sizes.get(role, sizes.get(role.split("/")[0], sizes.get("*", "medium")))


def _chance(value: float) -> float:
    return float(f"{value:.4g}")
