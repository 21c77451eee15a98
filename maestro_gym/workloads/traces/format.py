"""The workflow-trace format: one row a call. docs/workload-trace-format.md describes it for users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

ColumnKind = Literal["text", "tokens", "seconds", "flag", "positive"]


@dataclass(frozen=True)
class Column:
    """One column of a workflow trace.

    Attributes:
        kind: Text; tokens and flag (whole numbers); seconds and positive (real numbers).
        required: Whether a file must have it.
        per_workflow: Whether all calls of a workflow must agree on it.
        default: Value where the file lacks the column.
        low: Smallest number allowed.
        meaning: One line for the documentation.
    """

    kind: ColumnKind
    required: bool
    per_workflow: bool
    default: str | float
    low: float
    meaning: str


def _required(kind: ColumnKind, meaning: str, per_workflow: bool = False, low: float = 0.0) -> Column:
    return Column(kind, True, per_workflow, "", low, meaning)


def _optional(kind: ColumnKind, default: str | float, meaning: str, per_workflow: bool = False) -> Column:
    return Column(kind, False, per_workflow, default, 0.0, meaning)


COLUMNS: dict[str, Column] = {
    "workflow_id": _required("text", "the workflow; its rows stand together"),
    "call_id": _required("text", "the call, unique in its workflow"),
    "parent_ids": _required("text", "calls of the same workflow that must end first, joined by `|`; blank: a root"),
    "arrival_s": _required("seconds", "arrival of the workflow; never falls from row to row", per_workflow=True),
    "application": _required("text", "the application", per_workflow=True),
    "role": _required("text", "the agent that calls"),
    "model": _required("text", "the model's name in the trace; `workload.model_map` translates it"),
    "prompt_tokens": _required("tokens", "prompt, shared prefixes included", low=1),
    "output_tokens": _required("tokens", "what the model answers, at most max_output_tokens", low=1),
    "max_output_tokens": _required("tokens", "the client's limit", low=1),
    "tool_gap_s": _required("seconds", "from the end of the call until its children are ready"),
    "class": _required("text", "interactive or batch", per_workflow=True),
    "deadline_s": _required("positive", "after the arrival", per_workflow=True),
    "ttft_limit_s": _required("positive", "TTFT limit of one call", per_workflow=True),
    "tenant": _optional("text", "default", "who pays", per_workflow=True),
    "weight": _optional("positive", 1.0, "weight of the workflow in the reward", per_workflow=True),
    "tool_intent": _optional(
        "flag", -1.0, "1 if the call calls a tool, else 0; absent: whether a tool is named or tool_gap_s > 0"
    ),
    "tool": _optional("text", "", "name of the tool called; blank: none, or not known"),
    "tools_available": _optional("tokens", 0.0, "tools that the call offers"),
    "sys_group": _optional("text", "", "prefix group of the system prompt, shared between workflows; blank: none"),
    "sys_prefix_tokens": _optional("tokens", 0.0, "leading prompt tokens that sys_group shares"),
    "ctx_group": _optional("text", "", "prefix group of a growing context; blank: none"),
    "ctx_prefix_tokens": _optional("tokens", 0.0, "leading prompt tokens that an earlier call of ctx_group held"),
}

ROW = "_row"
"""Column of a table of calls that holds the row of the file a call came from, 1 = first after the header."""


SEEN = "_seen"
"""Column of a table of calls that holds what a call was read from, by the file's own names; absent: its row."""

Fields = Mapping[str, tuple[str, ...]]
"""Column of this format -> the columns of a file that it was read from; those that are not in it were chosen."""


class Converted(NamedTuple):
    """What an importer made of a file.

    Attributes:
        table: One row a call, in this format, with ``ROW`` and perhaps ``SEEN``.
        notes: What was assumed, estimated or left out: sentences without a full stop.
        dialect: Which of several conventions a file of its format follows; blank: there is one.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    dialect: str = ""


class Trace(NamedTuple):
    """A checked trace as arrays. W workflows, S stages, stages of a workflow contiguous, parents first.

    ``workflows.arrival_s`` counts from the first arrival, ``workflows.deadline_s`` from the
    workflow's own. ``stages.model`` indexes ``model_names``; prefix groups count from 0, each kind
    for itself, -1 = none.
    """

    source: str
    workflows: np.ndarray  # WORKFLOW (W,)
    stages: np.ndarray  # STAGE (S,)
    hidden: np.ndarray  # STAGE_HIDDEN (S,): output_tokens, tool_intent, tool_gap_s
    parent_start: np.ndarray  # int64 (S + 1,)
    parents: np.ndarray  # int64 (edges,): places within the workflow
    rows: np.ndarray  # int64 (S,): row of the file
    model_names: tuple[str, ...]
    application_names: tuple[str, ...]
    role_names: tuple[str, ...]
    tenant_names: tuple[str, ...]
    tools: np.ndarray  # int64 (S,): name of the tool called, an index into tool_names
    tool_names: tuple[str, ...]
    num_sys_groups: int
    num_ctx_groups: int
    prompt_column: str = "prompt_tokens"  # what the file calls it
