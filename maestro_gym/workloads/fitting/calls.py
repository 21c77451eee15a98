# pandas calls every column, group and sum a Series or a DataFrame: its own types are of no help here.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportReturnType=false, reportAttributeAccessIssue=false
"""A trace as a table of calls, one row per call, and what a fit makes of it: roles, states and contexts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.format import Trace

OTHER = "other"
"""Role, or tool, of what is too rare for laws of its own."""

_SPLIT_DISTANCE = 0.5


def calls_of(trace: Trace) -> pd.DataFrame:
    """Lay a trace out as one row per call, and make sure that workflows are chains.

    Args:
        trace: The trace.

    Returns:
        The table: ``workflow``, ``place`` of the call in it, ``application``, ``arrival_s`` of the workflow, ``role``,
        ``tool`` that the call asks for or "", ``prompt`` and ``output`` in tokens, ``gap`` until the next call in
        seconds, ``group`` (its context, negative for none), ``system`` prefix and ``limit`` in tokens, ``tools``.

    Raises:
        MaestroError: Workflows run calls side by side, which a walk over states cannot.
    """
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


def lump_rare(calls: pd.DataFrame, min_calls: int) -> pd.DataFrame:
    """Throw roles, and tools of a role, that are too rare together as ``OTHER``.

    Args:
        calls: The table of calls.
        min_calls: Calls that a role, or a tool of a role, needs to stay by itself.

    Returns:
        A copy of the table.
    """
    calls = calls.copy()
    counts = calls["role"].map(calls["role"].value_counts())
    calls.loc[counts < min_calls, "role"] = OTHER
    pairs = calls["role"] + "\0" + calls["tool"]
    rare = (pairs.map(pairs.value_counts()) < min_calls) & (calls["tool"] != "")
    calls.loc[rare, "tool"] = OTHER
    return calls


def mark_contexts(calls: pd.DataFrame) -> None:
    """Add columns: the prompt that ``follows`` in the context, whether it ``shrank``, whether a call ``begins`` one.

    A prompt shorter than the one before means that the context was made afresh.

    Args:
        calls: The table of calls, which gets the columns.
    """
    contexts = calls[calls["group"] >= 0].groupby("group", sort=False)["prompt"]
    calls["follows"] = contexts.shift(-1).reindex(calls.index)
    previous = contexts.shift(1).reindex(calls.index)
    calls["shrank"] = (calls["follows"] < calls["prompt"]).where(calls["follows"].notna())
    calls["begins"] = previous.isna() | (calls["prompt"] < previous)


def split_states(calls: pd.DataFrame, names: pd.Series, min_calls: int) -> pd.Series:
    """Make states of their own of calls whose outputs tell what came before them.

    A call after one state may be another kind of call than the same role's call after another state, without
    a name of its own in the log (a planner that thinks, or hands over). It is, where the outputs after the one and
    after all others are further apart than ``_SPLIT_DISTANCE`` (Kolmogorov-Smirnov), or where the chances that the
    context is made afresh afterwards are, both with enough calls.

    Args:
        calls: The table of calls, with the marks of `mark_contexts`.
        names: State of each call by its role and tool.
        min_calls: Calls that both sides of a split need.

    Returns:
        State of each call.
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


def role_threads(calls: pd.DataFrame) -> dict[str, str | None]:
    """Name the context of every role: roles that extend one context in some workflow share a thread.

    Args:
        calls: The table of calls.

    Returns:
        Role -> name of its thread, None for a role without a context.
    """
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


def context_gains(calls: pd.DataFrame) -> dict[str, bool]:
    """Add the column ``gain``: what a context gained until its next call, besides the output if that is kept.

    It is missing where there is no next call or the context shrank.

    Args:
        calls: The table of calls with its marks and the column ``state``; it gets the new column.

    Returns:
        State -> whether its output stays in its context: most of its contexts grew by it at least.
    """
    change = (calls["follows"] - calls["prompt"]).where(calls["follows"] >= calls["prompt"])
    kept = (change >= calls["output"]).where(change.notna())
    keep = {str(name): bool(share >= 0.5) for name, share in kept.groupby(calls["state"]).mean().dropna().items()}
    calls["gain"] = change - calls["output"] * calls["state"].map(lambda name: float(keep.get(name, True)))
    return keep
