"""From a table of calls in the workflow-trace format to checked arrays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from maestro_gym.config import nearest
from maestro_gym.core.errors import MaestroError
from maestro_gym.state import CLASS_NAMES, STAGE, STAGE_HIDDEN, WORKFLOW
from maestro_gym.workloads.traces.checks import Origin, parsed, require_columns, text
from maestro_gym.workloads.traces.format import COLUMNS, ROW, SEEN, Trace


def build_trace(frame: pd.DataFrame, origin: Origin) -> Trace:
    """Check a table of calls and lay it out as arrays.

    Args:
        frame: The table, in the workflow-trace format, with ``ROW``.
        origin: The file that it comes from, for messages.

    Returns:
        The trace.

    Raises:
        MaestroError: The table breaks a rule of the format.
    """
    source = origin.source
    require_columns(frame, [name for name, column in COLUMNS.items() if column.required], source, "workflow-trace")
    _refuse_near_misses(frame, source)
    if len(frame) == 0:
        raise MaestroError(f"{source}: holds no calls; a trace needs at least one row after its header.")
    table = pd.DataFrame({name: _column(frame, name, origin) for name in COLUMNS}, index=range(len(frame)))
    for name in (ROW, SEEN):
        if name in frame.columns:
            table[name] = frame[name].to_numpy()
    _check_ids(table, origin)
    _check_order(table, origin)
    _check_cells(table, origin)
    order, parent_lists = _sort_calls(table, origin)
    return _lay_out(table.iloc[order].reset_index(drop=True), parent_lists, origin)


def _refuse_near_misses(frame: pd.DataFrame, source: str) -> None:
    """Refuse a column that looks like a mistyped optional one, which would be ignored in silence."""
    absent = [name for name in COLUMNS if name not in frame.columns]
    for name in frame.columns:
        if name in COLUMNS or name == ROW:
            continue
        guess = nearest(str(name), COLUMNS)
        if guess in absent and str(name).lower().strip().replace(" ", "_") == guess:
            raise MaestroError(f"{source}: the column `{name}` looks like `{guess}`; rename it, or take it out.")


def _column(frame: pd.DataFrame, name: str, origin: Origin) -> np.ndarray:
    column = COLUMNS[name]
    if name not in frame.columns:
        return np.full(len(frame), column.default)
    if column.kind == "text":
        return text(frame, name).to_numpy(dtype=object)
    values, mistake = parsed(frame, name, low=column.low, whole=column.kind in ("tokens", "flag"))
    if mistake is not None:
        raise origin.refuse(frame, mistake.at, name, mistake.message)
    if column.kind == "positive" and np.any(values <= 0):
        at = int(np.flatnonzero(values <= 0)[0])
        raise origin.refuse(frame, at, name, "is not allowed; give more than 0")
    return values


def _first_error(table: pd.DataFrame, wrong: np.ndarray, column: str, origin: Origin, message: str) -> None:
    found = np.flatnonzero(wrong)
    if len(found):
        raise origin.refuse(table, int(found[0]), column, message)


def _check_ids(table: pd.DataFrame, origin: Origin) -> None:
    for column in ("workflow_id", "call_id", "application", "role"):
        _first_error(table, (table[column] == "").to_numpy(), column, origin, "is blank; give a name")
    _first_error(
        table,
        table["call_id"].str.contains("|", regex=False).to_numpy(),
        "call_id",
        origin,
        "contains `|`, which separates parents; take it out",
    )
    _first_error(
        table,
        table.duplicated(["workflow_id", "call_id"]).to_numpy(),
        "call_id",
        origin,
        "stands twice in its workflow; give every call an id of its own",
    )


def _check_order(table: pd.DataFrame, origin: Origin) -> None:
    starts = (table["workflow_id"] != table["workflow_id"].shift()).to_numpy()
    again = starts & table["workflow_id"].where(starts).duplicated().to_numpy()
    _first_error(
        table, again, "workflow_id", origin, "was left and comes again; put the rows of a workflow side by side"
    )
    shared = [name for name, column in COLUMNS.items() if column.per_workflow]
    first = table.groupby("workflow_id", sort=False)[shared].transform("first")
    for column in first.columns:
        differs = (table[column] != first[column]).to_numpy()
        _first_error(
            table, differs, column, origin, "differs from the workflow's first row; all its calls must agree on it"
        )
    falls = np.diff(table["arrival_s"].to_numpy(np.float64), prepend=-np.inf) < 0
    sort = f"sort the rows by {origin.name('arrival_s')}"
    _first_error(table, falls, "arrival_s", origin, f"is earlier than in the row before; {sort}")


def _check_cells(table: pd.DataFrame, origin: Origin) -> None:
    known = table["class"].isin(CLASS_NAMES).to_numpy()
    _first_error(table, ~known, "class", origin, f"is no class; write {' or '.join(CLASS_NAMES)}")
    _first_error(table, (table["tool_intent"] > 1).to_numpy(), "tool_intent", origin, "is neither 0 nor 1")
    idle = ((table["tool_intent"] == 0) & (table["tool"] != "")).to_numpy()
    _first_error(
        table,
        idle,
        "tool",
        origin,
        f"names a tool, but {origin.name('tool_intent')} is 0; write 1 there or leave this blank",
    )
    over = (table["output_tokens"] > table["max_output_tokens"]).to_numpy()
    _first_error(
        table,
        over,
        "output_tokens",
        origin,
        f"is above {origin.name('max_output_tokens')}, which is a hard limit; raise that",
    )
    for kind in ("sys", "ctx"):
        tokens = table[f"{kind}_prefix_tokens"]
        column = f"{kind}_prefix_tokens"
        _first_error(
            table,
            (tokens > table["prompt_tokens"]).to_numpy(),
            column,
            origin,
            f"is above {origin.name('prompt_tokens')}; it is a part",
        )
        lonely = ((table[f"{kind}_group"] == "") & (tokens > 0)).to_numpy()
        _first_error(table, lonely, column, origin, f"needs a {kind}_group to share with; name one or write 0")


def _sort_calls(table: pd.DataFrame, origin: Origin) -> tuple[list[int], list[list[int]]]:
    """Put parents before children; return the order of rows and, in it, parents as places in the workflow."""
    workflows = table["workflow_id"].to_numpy()
    call_ids = table["call_id"].to_numpy()
    parent_texts = table["parent_ids"].to_numpy()
    bounds = [*np.flatnonzero(np.r_[True, workflows[1:] != workflows[:-1]]).tolist(), len(table)]
    order: list[int] = []
    parent_lists: list[list[int]] = []
    for first, end in pairwise(bounds):
        row_of = {call_ids[i]: i for i in range(first, end)}
        parents: dict[int, list[int]] = {}
        for i in range(first, end):
            names = [name.strip() for name in parent_texts[i].split("|")] if parent_texts[i] else []
            for name in names:
                if name not in row_of:
                    raise origin.refuse(
                        table,
                        i,
                        "parent_ids",
                        f"names {name!r}, which is no call of workflow {workflows[i]!r}; name a call of the same "
                        "workflow, or leave the cell blank",
                    )
            parents[i] = sorted({row_of[name] for name in names})
        done: dict[int, int] = {}
        waiting = list(range(first, end))
        while waiting:
            left = []
            for i in waiting:
                if all(p in done for p in parents[i]):
                    done[i] = len(done)
                    order.append(i)
                    parent_lists.append([done[p] for p in parents[i]])
                else:
                    left.append(i)
            if len(left) == len(waiting):
                raise origin.refuse(
                    table,
                    left[0],
                    "parent_ids",
                    f"makes the calls {', '.join(repr(call_ids[i]) for i in left[:5])} of workflow "
                    f"{workflows[first]!r} wait for each other in a circle; take one of these parents out",
                )
            waiting = left
    return order, parent_lists


def _number_names(table: pd.DataFrame, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    codes, names = pd.factorize(np.asarray(table[column], object))
    return codes.astype(np.int64), tuple(str(name) for name in names)


def _number_groups(table: pd.DataFrame, column: str) -> tuple[np.ndarray, int]:
    names = np.array([name or None for name in table[column]], object)
    codes, known = pd.factorize(names)
    return codes.astype(np.int64), len(known)


def _invocations(workflow_of: np.ndarray, roles: np.ndarray, parent_lists: list[list[int]]) -> list[int]:
    """Count the calls of its role that every call depends on; sets of calls are bits of an integer."""
    counts: list[int] = []
    ancestors: list[int] = []
    of_role: dict[int, int] = {}
    before = -1
    for workflow, role, parents in zip(workflow_of.tolist(), roles.tolist(), parent_lists, strict=True):
        if workflow != before:
            before, ancestors, of_role = workflow, [], {}
        mine = 0
        for parent in parents:
            mine |= ancestors[parent] | (1 << parent)
        counts.append((mine & of_role.get(role, 0)).bit_count())
        of_role[role] = of_role.get(role, 0) | (1 << len(ancestors))
        ancestors.append(mine)
    return counts


def _lay_out(table: pd.DataFrame, parent_lists: list[list[int]], origin: Origin) -> Trace:
    workflow_of, workflow_names = _number_names(table, "workflow_id")
    num_stages, num_workflows = len(table), len(workflow_names)
    stages, hidden = np.zeros(num_stages, STAGE), np.zeros(num_stages, STAGE_HIDDEN)
    workflows = np.zeros(num_workflows, WORKFLOW)
    stages["workflow"] = workflow_of
    names = {}
    for column in ("role", "model"):
        stages[column], names[column] = _number_names(table, column)
    tools, names["tool"] = _number_names(table, "tool")
    for column in ("prompt_tokens", "max_output_tokens", "tools_available", "sys_prefix_tokens", "ctx_prefix_tokens"):
        stages[column] = table[column].to_numpy(np.int64)
    stages["sys_group"], num_sys_groups = _number_groups(table, "sys_group")
    stages["ctx_group"], num_ctx_groups = _number_groups(table, "ctx_group")
    stages["invocation_index"] = _invocations(stages["workflow"], stages["role"], parent_lists)
    hidden["output_tokens"] = table["output_tokens"].to_numpy(np.int64)
    hidden["tool_gap_s"] = table["tool_gap_s"].to_numpy(np.float64)
    intent = table["tool_intent"].to_numpy(np.float64)
    guessed = (hidden["tool_gap_s"] > 0) | (table["tool"] != "").to_numpy()
    hidden["tool_intent"] = np.where(intent >= 0, intent, guessed).astype(np.int64)

    workflows["num_stages"] = np.bincount(workflow_of, minlength=num_workflows)
    workflows["first_stage"] = np.cumsum(workflows["num_stages"]) - workflows["num_stages"]
    first = table.iloc[workflows["first_stage"]]
    for column in ("deadline_s", "ttft_limit_s", "weight"):
        workflows[column] = first[column].to_numpy(np.float64)
    arrival_s = first["arrival_s"].to_numpy(np.float64)
    workflows["arrival_s"] = arrival_s - arrival_s[0]
    workflows["cls"] = [CLASS_NAMES.index(name) for name in first["class"]]
    workflows["application"], names["application"] = _number_names(first, "application")
    workflows["tenant"], names["tenant"] = _number_names(first, "tenant")
    counts = np.array([len(parents) for parents in parent_lists], np.int64)
    return Trace(
        source=origin.source,
        workflows=workflows,
        stages=stages,
        hidden=hidden,
        parent_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        parents=np.array([p for parents in parent_lists for p in parents], np.int64),
        rows=table[ROW].to_numpy(np.int64),
        model_names=names["model"],
        application_names=names["application"],
        role_names=names["role"],
        tenant_names=names["tenant"],
        tools=tools,
        tool_names=names["tool"],
        num_sys_groups=num_sys_groups,
        num_ctx_groups=num_ctx_groups,
        prompt_column=origin.name("prompt_tokens"),
    )
