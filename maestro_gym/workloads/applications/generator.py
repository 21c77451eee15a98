"""The compiled generator of a family: from a key and arrival times to stages.

Every draw is a hash of (key, purpose, workflow id and place in the workflow). A workflow's shape
(calls, branches, tools) does not depend on the deployments it draws.

Prompts. A *thread* is a conversation whose text only grows: of one role (``context: thread``), of
one role in one arm of a fan-out, or of the whole workflow (``context: shared``). A call's prompt is
its thread so far, then what its parents in other threads said, the results of its parents' tools
and its own instruction; a thread begins with the role's system prompt and the user's query. After
the call, the thread holds prompt and output: that is what the next call of the thread can reuse.
Each thread is a prefix group of its own. A context that outgrows the model is shortened behind the
system prompt, which ends the reuse of what followed.
"""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.core import hashing
from maestro_gym.core.compile import njit
from maestro_gym.workloads.applications.tables import (
    AGAIN,
    BRANCH,
    CALL,
    END,
    FORK,
    JOIN,
    JUMP,
    LOOP,
    MAX_ARMS,
    MAX_COUNTERS,
)

STRIDE = 4096
"""Entities a workflow may use: more than the instructions that any workflow runs."""


@njit
def pick(cdf: np.ndarray, u: float) -> int:
    """Return the index of the first cumulative share above u."""
    index = 0
    while index < len(cdf) - 1 and u >= cdf[index]:
        index += 1
    return index


@njit
def _draw(median: float, sigma: float, low: float, high: float, key: int, purpose: int, entity: int) -> float:
    """Draw from a clipped lognormal law."""
    if sigma == 0.0 or median == 0.0:
        return median
    value = median * math.exp(sigma * hashing.normal(key, purpose, entity))
    return min(max(value, low), high)


@njit
def draw_tokens(law: np.ndarray, key: int, purpose: int, entity: int) -> int:
    """Draw whole tokens from a LAW record."""
    return int(_draw(law.median, law.sigma, law.low, law.high, key, purpose, entity) + 0.5)


@njit
def generate(
    key: int,
    arrivals_s: np.ndarray,
    applications: np.ndarray,
    roles: np.ndarray,
    program: np.ndarray,
    application_cdf: np.ndarray,
    tenant_cdf: np.ndarray,
    deployment_cdf: np.ndarray,
    max_model_len: np.ndarray,
    num_sys_groups: int,
    num_clusters: int,
    time_scale: float,
    workflows: np.ndarray,
    stages: np.ndarray,
    hidden: np.ndarray,
    parent_start: np.ndarray,
    parents: np.ndarray,
) -> int:
    """Fill the records of an episode.

    Args:
        key: The episode's key.
        arrivals_s: float64, shape (num_workflows,), ascending.
        applications: APPLICATION records.
        roles: ROLE records.
        program: INSTRUCTION records.
        application_cdf: float64, shape (num_applications,).
        tenant_cdf: float64, shape (num_tenants,).
        deployment_cdf: float64, shape (sizes, num_models): by size that a role prefers.
        max_model_len: int64, shape (num_models,).
        num_sys_groups: Prefix groups of system prompts; groups of contexts come after them.
        num_clusters: Tenants enter the fleet at cluster ``tenant % num_clusters``.
        time_scale: Multiplies deadlines, TTFT limits and tool gaps.
        workflows: WORKFLOW, shape (num_workflows,), written.
        stages: STAGE, long enough, zeroed, written.
        hidden: STAGE_HIDDEN, likewise.
        parent_start: int64, one longer than stages, written.
        parents: int64, long enough, written.

    Returns:
        The number of stages.
    """
    num_roles = len(roles)
    counters = np.zeros(MAX_COUNTERS, np.int64)
    # Threads of the main line and of the arm under way: tokens held, prefix group, calls of the role.
    held = np.zeros((2, num_roles), np.int64)
    group_of = np.zeros((2, num_roles), np.int64)
    calls = np.zeros((3, num_roles), np.int64)  # finished main line, arms already left, arm under way
    results = np.zeros(len(stages), np.int64)  # tokens of the tool's result, by stage
    frontier = np.zeros(MAX_ARMS, np.int64)
    fork_from = np.zeros(MAX_ARMS, np.int64)
    joined = np.zeros(MAX_ARMS, np.int64)
    s = 0
    edges = 0
    next_group = num_sys_groups
    for w in range(len(arrivals_s)):
        application = pick(application_cdf, hashing.uniform(key, hashing.APPLICATION, w))
        app = applications[application]
        tenant = pick(tenant_cdf, hashing.uniform(key, hashing.TENANT, w))
        workflow = workflows[w]
        workflow.arrival_s = arrivals_s[w]
        workflow.deadline_s = arrivals_s[w] + app.deadline_s * time_scale
        workflow.ttft_limit_s = app.ttft_limit_s * time_scale
        workflow.weight = app.weight
        workflow.cls = app.cls
        workflow.application = application
        workflow.tenant = tenant
        workflow.ingress_cluster = tenant % num_clusters
        workflow.first_stage = s
        query_tokens = draw_tokens(app.query, key, hashing.QUERY_TOKENS, w)
        held[:, :] = 0
        group_of[:, :] = -1
        calls[:, :] = 0
        counters[:] = 0
        frontier_len = 0
        fork_len = 0
        joined_len = 0
        arms_left = 0
        line = 0  # 0 main line, 1 arm of a fan-out
        called_tool = 0
        pc = app.entry
        visit = w * STRIDE
        while program[pc].op != END:
            step = program[pc]
            visit += 1
            pc += 1
            if step.op == CALL:
                role_id = step.a
                role = roles[role_id]
                entity = w * STRIDE + (s - workflow.first_stage)
                # Which deployment serves a size is the choice of the workflow's instance.
                u = hashing.uniform(key, hashing.DEPLOYMENT, w * 8 + role.size_class)
                model = pick(deployment_cdf[role.size_class], u)
                called_tool = 0
                if hashing.uniform(key, hashing.TOOL_INTENT, entity) < step.p:
                    called_tool = 1
                if step.b >= 0 and counters[step.b] == step.limit - 1:
                    called_tool = 0
                limit_tokens = min(role.max_output_tokens, max(max_model_len[model] // 2, 1))
                if called_tool == 1:
                    output_tokens = draw_tokens(role.tool_call, key, hashing.OUTPUT_TOKENS, entity)
                    result_tokens = draw_tokens(role.tool_result, key, hashing.TOOL_RESULT_TOKENS, entity)
                    gap = role.tool_gap
                    gap_s = _draw(gap.median, gap.sigma, gap.low, gap.high, key, hashing.TOOL_GAP, entity)
                else:
                    output_tokens = draw_tokens(role.answer, key, hashing.OUTPUT_TOKENS, entity)
                    result_tokens = 0
                    gap_s = 0.0
                output_tokens = min(max(output_tokens, 1), limit_tokens)

                thread = app.first_role if app.shared == 1 else role_id
                reusable = held[line, thread]
                if group_of[line, thread] < 0:
                    group_of[line, thread] = next_group
                    next_group += 1
                    prompt_tokens = role.system_tokens + query_tokens
                else:
                    prompt_tokens = reusable
                prompt_tokens += draw_tokens(role.instruction, key, hashing.INPUT_TOKENS, entity)
                parent_start[s] = edges
                for f in range(frontier_len):
                    p = frontier[f]
                    prompt_tokens += results[p]
                    if stages[p].ctx_group != group_of[line, thread]:
                        prompt_tokens += hidden[p].output_tokens
                    parents[edges] = p
                    edges += 1
                room_tokens = max_model_len[model] - limit_tokens
                if prompt_tokens > room_tokens:
                    prompt_tokens = room_tokens
                    reusable = min(reusable, role.system_tokens)
                prompt_tokens = max(prompt_tokens, 1)

                stage = stages[s]
                stage.workflow = w
                stage.role = role_id
                stage.model = model
                stage.prompt_tokens = prompt_tokens
                stage.max_output_tokens = limit_tokens
                stage.invocation_index = calls[0, role_id] + calls[2, role_id]
                stage.tools_available = role.tools
                stage.sys_group = role.sys_group
                stage.sys_prefix_tokens = min(role.system_tokens, prompt_tokens)
                stage.ctx_group = group_of[line, thread]
                stage.ctx_prefix_tokens = min(reusable, prompt_tokens)
                truth = hidden[s]
                truth.output_tokens = output_tokens
                truth.tool_intent = called_tool
                truth.tool_gap_s = gap_s * time_scale
                results[s] = result_tokens
                held[line, thread] = prompt_tokens + output_tokens
                calls[2 * line, role_id] += 1
                frontier[0] = s
                frontier_len = 1
                s += 1
            elif step.op == LOOP:
                counters[step.a] = 0
            elif step.op == AGAIN:
                counters[step.a] += 1
                again = called_tool == 1
                if step.p >= 0.0:
                    again = hashing.uniform(key, hashing.LOOP, visit) < step.p
                if again and counters[step.a] < step.limit:
                    pc = step.b
            elif step.op == BRANCH:
                if hashing.uniform(key, hashing.BRANCH, visit) >= step.p:
                    pc = step.b
            elif step.op == JUMP:
                pc = step.b
            elif step.op == FORK:
                spread = step.b - step.a + 1
                arms_left = step.a + int(hashing.uniform(key, hashing.FAN_OUT, visit) * spread)
                fork_len = frontier_len
                fork_from[:] = frontier
                joined_len = 0
                line = 1
                held[1, :] = 0
                group_of[1, :] = -1
                calls[1:, :] = 0
            elif step.op == JOIN:
                joined[joined_len] = frontier[0]
                joined_len += 1
                calls[1] += calls[2]
                calls[2, :] = 0
                held[1, :] = 0
                group_of[1, :] = -1
                arms_left -= 1
                if arms_left > 0:
                    frontier[:] = fork_from
                    frontier_len = fork_len
                    pc = step.b
                else:
                    frontier[:] = joined
                    frontier_len = joined_len
                    calls[0] += calls[1]
                    line = 0
        workflow.num_stages = s - workflow.first_stage
    parent_start[s] = edges
    return s


@njit
def count_bound(key: int, num_workflows: int, applications: np.ndarray, application_cdf: np.ndarray) -> tuple[int, int]:
    """Bound the stages and edges that ``generate`` will write for these workflows."""
    num_stages = 0
    num_edges = 0
    for w in range(num_workflows):
        app = applications[pick(application_cdf, hashing.uniform(key, hashing.APPLICATION, w))]
        num_stages += app.max_stages
        num_edges += app.max_stages * app.max_width
    return num_stages, num_edges
