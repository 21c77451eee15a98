# pandas calls every column, group and sum a Series or a DataFrame: its own types are of no help here.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportReturnType=false, reportAttributeAccessIssue=false
"""Fits a state machine to the workflows of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import CLASS_NAMES
from maestro_gym.workloads.applications.spec import SIZE_CLASSES
from maestro_gym.workloads.fitting.calls import (
    calls_of,
    context_gains,
    lump_rare,
    mark_contexts,
    role_threads,
    split_states,
)
from maestro_gym.workloads.fitting.job_effects import fit_job_effects
from maestro_gym.workloads.laws import fit_quantiles
from maestro_gym.workloads.machines.machine_spec import (
    END,
    ContinuationSpec,
    MachineRoleSpec,
    MachineSpec,
    StateSpec,
    YouthSpec,
)
from maestro_gym.workloads.traces.format import Trace

_YOUTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_LEAST_YOUTH = 0.2


class FitOptions(NamedTuple):
    """Choices that a trace does not make.

    Attributes:
        sizes: Role, or its part before the slash -> size of deployment it prefers; ``*``: all others.
        min_calls: Roles, and tools of a role, with fewer calls are thrown together.
        applications: Applications to fit; empty: all.
    """

    sizes: Mapping[str, str] = {}
    min_calls: int = 30
    applications: Sequence[str] = ()


def fit_machines(trace: Trace, options: FitOptions) -> tuple[dict[str, MachineSpec], int, int]:
    """Fit a machine to every application of a trace.

    Args:
        trace: The trace.
        options: What the trace does not say.

    Returns:
        Machines by application, each with its number of workflows as share; workflows and calls fitted.

    Raises:
        MaestroError: There is nothing to fit, or workflows run calls side by side, which a walk cannot.
    """
    wanted = list(options.applications) or list(trace.application_names)
    for name in wanted:
        if name not in trace.application_names:
            raise MaestroError(
                f"{trace.source}: has no application `{name}`; it has {', '.join(trace.application_names)}."
            )
    calls = calls_of(trace)
    machines, num_workflows, num_calls = {}, 0, 0
    for name in wanted:
        mine = calls[calls["application"] == trace.application_names.index(name)]
        machines[name] = _fit_machine(trace, mine.reset_index(drop=True), options)
        num_workflows += mine["workflow"].nunique()
        num_calls += len(mine)
    return machines, num_workflows, num_calls


def _fit_machine(trace: Trace, calls: pd.DataFrame, options: FitOptions) -> MachineSpec:
    calls = lump_rare(calls, options.min_calls)
    mark_contexts(calls)
    names = calls["role"] + np.where(calls["tool"] != "", ":" + calls["tool"], "")
    calls["state"] = names = split_states(calls, names, options.min_calls)
    calls["last"] = calls["workflow"] != calls["workflow"].shift(-1)
    calls["after"] = names.shift(-1).where(~calls["last"], END)
    threads = role_threads(calls)
    keep = context_gains(calls)
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
            "job_effects": fit_job_effects(calls),
            "continues": _continuation(calls),
            "roles": roles,
            "start": {str(name): _chance(value) for name, value in starts.items()},
            "states": states,
        }
    )


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


def _size(role: str, sizes: Mapping[str, str]) -> str:
    return sizes.get(role, sizes.get(role.split("/")[0], sizes.get("*", "medium")))


def _chance(value: float) -> float:
    return float(f"{value:.4g}")
