"""An episode: what happens, whatever the scheduler does. Made by ``workloads``, annotated by ``predictors``."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from maestro_gym.state.fields import Field, of, plain, record

WORKFLOW = record(
    Field("arrival_s", "f8", "s", "when it arrives"),
    Field("deadline_s", "f8", "s", "absolute: arrival and the constant of its application"),
    Field("ttft_limit_s", "f8", "s", "the application's limit for the first token of one interactive stage"),
    Field("weight", "f8", "1", "weight in the reward"),
    Field("cls", "i8", "code", "INTERACTIVE or BATCH"),
    Field("application", "i8", "id", "index into the workload's applications"),
    Field("tenant", "i8", "id", "who asked"),
    Field("ingress_cluster", "i8", "id", "cluster through which it enters"),
    Field("first_stage", "i8", "id", "stages of a workflow are contiguous, from this one on"),
    Field("num_stages", "i8", "stages", "hidden from schedulers"),
)

STAGE = record(
    Field("workflow", "i8", "id", "its workflow"),
    Field("role", "i8", "id", "index into Workload.role_names"),
    Field("model", "i8", "id", "index into the scenario's deployments"),
    Field("prompt_tokens", "i8", "tokens", "prompt length"),
    Field("max_output_tokens", "i8", "tokens", "the client's limit, visible"),
    Field("invocation_index", "i8", "calls", "how often this role was called before in the workflow"),
    Field("depth", "i8", "stages", "longest path from a root of the workflow"),
    Field("tools_available", "i8", "flag", "whether the call may use tools"),
    Field("sys_group", "i8", "id", "prefix group of the role's system prompt, -1 = none; unique in the episode"),
    Field("sys_prefix_tokens", "i8", "tokens", "leading prompt tokens shared with sys_group"),
    Field("ctx_group", "i8", "id", "prefix group of the workflow's context, -1 = none; unique in the episode"),
    Field("ctx_prefix_tokens", "i8", "tokens", "leading prompt tokens shared with what ctx_group held before"),
)

STAGE_HIDDEN = record(
    Field("output_tokens", "i8", "tokens", "true length of the answer"),
    Field("tool_intent", "i8", "flag", "1 when the stage calls a tool"),
    Field("tool_gap_s", "f8", "s", "after the stage, before its children are ready"),
    Field("num_parents", "i8", "stages", "that must be done before it is ready"),
    Field("child_start", "i8", "index", "its children are Episode.children[child_start : child_start + num_children]"),
    Field("num_children", "i8", "stages", "that wait for it"),
    Field("remaining_s", "f8", "s", "true nominal service and gap time of the longest path from here, itself included"),
    Field("remaining_calls", "i8", "stages", "later ones of the workflow that depend on it"),
)

PREDICTION = record(
    Field("tool_probability", "f8", "1", "that the stage calls a tool"),
    Field("output_q50_tokens", "f8", "tokens", "output, median"),
    Field("output_q90_tokens", "f8", "tokens", "output, 90th percentile"),
    Field("remaining_calls", "f8", "stages", "that will follow"),
    Field("remaining_input_tokens", "f8", "tokens", "prompts of later stages"),
    Field("remaining_output_tokens", "f8", "tokens", "outputs of later stages"),
    Field("future_s_q50", "f8", "s", "T_future: service and gap time after this stage, no queueing; median"),
    Field("future_s_q90", "f8", "s", "the same, 90th percentile"),
    Field("remaining_s_q50", "f8", "s", "T_rem = T_current + T_future, median"),
    Field("remaining_s_q90", "f8", "s", "the same, 90th percentile"),
)

# Nominal speed of a deployment, from which predictors turn tokens into seconds (Maestro F6):
# T_current = prefill_base_s + prefill_s_per_token * prompt + decode_s_per_token * output.
SERVICE = record(
    Field("prefill_base_s", "f8", "s", "fixed part of a prefill"),
    Field("prefill_s_per_token", "f8", "s/token", "prefill of one prompt token"),
    Field("decode_s_per_token", "f8", "s/token", "one token of the answer, at the nominal batch"),
    Field("max_model_len", "i8", "tokens", "longest context"),
)


# The beginning or the end of an outage, in order of time.
OUTAGE = record(
    Field("time_s", "f8", "s", "when it happens"),
    Field("host", "i8", "id", "of the machine that it concerns, -1 = it concerns a link"),
    Field("node", "i8", "id", "of the only node of it that it concerns, -1 = all, and the page cache with them"),
    Field("fails", "i8", "flag", "1 for the beginning, 0 for the end"),
    Field("cluster", "i8", "id", "one end of the link that it concerns, -1 = none"),
    Field("other", "i8", "id", "the other end"),
)

NO_OUTAGES = np.zeros(0, OUTAGE)
"""What nobody sees who has a fleet that never fails."""


class Episode(NamedTuple):
    """One episode: workflows in order of arrival, their stages, and the predictions about them.

    Attributes:
        workflows: WORKFLOW, shape (num_workflows,), sorted by ``arrival_s``.
        stages: STAGE, shape (num_stages,), contiguous per workflow, parents before children.
        hidden: STAGE_HIDDEN, shape (num_stages,).
        predictions: PREDICTION, shape (num_stages,).
        children: int64, shape (num_edges,), stage ids, CSR by ``hidden.child_start``.
        outages: OUTAGE, shape (num_rows,), sorted by ``time_s``; the same whatever the scheduler does.
    """

    workflows: np.ndarray
    stages: np.ndarray
    hidden: np.ndarray
    predictions: np.ndarray
    children: np.ndarray
    outages: np.ndarray = NO_OUTAGES


class Hidden(NamedTuple):
    """The truth that no scheduler but an oracle may read: static rows of the episode, for E environments."""

    workflows: Annotated[np.ndarray, of("EW", WORKFLOW)]
    stages: Annotated[np.ndarray, of("ES", STAGE)]
    truth: Annotated[np.ndarray, of("ES", STAGE_HIDDEN)]
    predictions: Annotated[np.ndarray, of("ES", PREDICTION)]  # of stages that may not be ready yet, too
    children: Annotated[np.ndarray, plain("EJ", "i8", "id", "children of all stages")]
    outages: Annotated[np.ndarray, of("Ef", OUTAGE)]
