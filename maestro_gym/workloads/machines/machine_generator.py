"""The compiled generator of state machines: from a key and arrival times to stages.

Every draw is a hash of (key, purpose, workflow id and place in the workflow).

Prompts. A state whose role has no thread makes its prompt afresh from the law of the state. A thread is
a context that only grows: a call's prompt is what the thread's last call asked, its output if that is
kept, and what the context gained since (a tool's result, what other agents said). All of it but the gain
can be reused. A reset makes it afresh. A context that outgrows its deployment, so that prompt and the
client's output limit no longer fit ``max_model_len``, is compacted behind the system prompt to
``COMPACTED`` of the room there is, which ends the reuse of what followed; a fresh prompt is cut to the room.
"""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.core import hashing
from maestro_gym.core.compile import njit
from maestro_gym.workloads.applications.generator import STRIDE, pick
from maestro_gym.workloads.laws import draw_law

COMPACTED = 0.5
"""Share of the room behind the system prompt that a compacted context takes. A modelling choice, like agents
that summarise their history when it no longer fits."""


@njit
def _next_state(weights: np.ndarray, weights_at: int, onward: np.ndarray, onward_at: int, count: int, u: float) -> int:
    """Choose a state by its chance times how likely the rest of the walk is after it."""
    total = 0.0
    for j in range(count):
        total += weights[weights_at + j] * onward[onward_at + j]
    left = u * total
    chosen = -1
    for j in range(count):
        weight = weights[weights_at + j] * onward[onward_at + j]
        if weight > 0.0:
            chosen = j
            left -= weight
            if left < 0.0:
                break
    return chosen


@njit
def draw_calls(
    key: int, num_workflows: int, application_cdf: np.ndarray, machines: np.ndarray, calls_cdf: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw every workflow's application and its number of calls.

    Args:
        key: The episode's key.
        num_workflows: Workflows.
        application_cdf: float64, shape (num_applications,).
        machines: MACHINE records.
        calls_cdf: float64.

    Returns:
        int64 twice, shape (num_workflows,).
    """
    applications = np.empty(num_workflows, np.int64)
    calls = np.empty(num_workflows, np.int64)
    for w in range(num_workflows):
        applications[w] = pick(application_cdf, hashing.uniform(key, hashing.APPLICATION, w))
        machine = machines[applications[w]]
        u = 0.5 * math.erfc(-hashing.normal(key, hashing.CALLS, w) / math.sqrt(2.0))
        count = 1
        while count < machine.most_calls and calls_cdf[machine.calls_at + count - 1] <= u:
            count += 1
        calls[w] = count
    return applications, calls


@njit
def _find_earlier(
    arrivals_s: np.ndarray, before_s: float, applications: np.ndarray, mine: int, held: np.ndarray
) -> int:
    """Find the latest workflow of an application before a time whose context nobody has gone on with; -1: none."""
    v = int(np.searchsorted(arrivals_s, before_s, side="right")) - 1
    while v >= 0:
        if applications[v] == mine and held[v] > 0:
            return v
        v -= 1
    return -1


@njit
def generate_machines(
    key: int,
    arrivals_s: np.ndarray,
    applications: np.ndarray,
    calls: np.ndarray,
    machines: np.ndarray,
    states: np.ndarray,
    roles: np.ndarray,
    transition: np.ndarray,
    onward: np.ndarray,
    starts: np.ndarray,
    laws: np.ndarray,
    levels: np.ndarray,
    values: np.ndarray,
    tenant_cdf: np.ndarray,
    deployment_cdf: np.ndarray,
    max_model_len: np.ndarray,
    num_sys_groups: int,
    num_threads: int,
    num_clusters: int,
    time_scale: float,
    workflows: np.ndarray,
    stages: np.ndarray,
    hidden: np.ndarray,
    parent_start: np.ndarray,
    parents: np.ndarray,
    shortened: np.ndarray,
) -> None:
    """Fill the records of an episode.

    Args:
        key: The episode's key.
        arrivals_s: float64, shape (num_workflows,), ascending.
        applications: int64, shape (num_workflows,), of ``draw_calls``.
        calls: int64, shape (num_workflows,), of ``draw_calls``.
        machines: MACHINE records.
        states: STATE records.
        roles: MACHINE_ROLE records.
        transition: float64, chances of moves.
        onward: float64, see ``onward_table``.
        starts: float64, shape (num_states,).
        laws: LAW_ROW records.
        levels: float64.
        values: float64.
        tenant_cdf: float64, shape (num_tenants,).
        deployment_cdf: float64, shape (sizes, num_models): by size that a role prefers.
        max_model_len: int64, shape (num_models,).
        num_sys_groups: Prefix groups of system prompts; groups of contexts come after them.
        num_threads: Threads of all applications.
        num_clusters: Tenants enter the fleet at cluster ``tenant % num_clusters``.
        time_scale: Multiplies deadlines, TTFT limits and gaps.
        workflows: WORKFLOW, shape (num_workflows,), written.
        stages: STAGE, shape (sum of calls,), zeroed, written.
        hidden: STAGE_HIDDEN, likewise.
        parent_start: int64, one longer than stages, written.
        parents: int64, long enough, written.
        shortened: int64, shape (num_models,), zeroed, written: calls whose prompt did not fit.
    """
    num_workflows = len(arrivals_s)
    # Threads of the workflow under way: prefix group, last prompt and output kept, state that called last.
    group_of = np.zeros(max(num_threads, 1), np.int64)
    held = np.zeros(max(num_threads, 1), np.int64)
    asked = np.zeros(max(num_threads, 1), np.int64)
    caller = np.zeros(max(num_threads, 1), np.int64)
    role_calls = np.zeros(len(roles), np.int64)
    # What a later workflow may go on with, by workflow.
    left_held = np.zeros(num_workflows, np.int64)
    left_asked = np.zeros(num_workflows, np.int64)
    left_group = np.zeros(num_workflows, np.int64)
    left_caller = np.zeros(num_workflows, np.int64)
    origin = np.zeros(num_workflows, np.int64)
    next_group = num_sys_groups
    s = 0
    edges = 0
    for w in range(num_workflows):
        mine = applications[w]
        machine = machines[mine]
        group_of[:] = -1
        role_calls[:] = 0
        origin[w] = w
        if machine.continues > 0.0 and hashing.uniform(key, hashing.CONTINUATION, w) < machine.continues:
            score = hashing.normal(key, hashing.CONTINUATION_LAG, w)
            lag_s = draw_law(laws, levels, values, machine.lag, score) * time_scale
            at = machine.first_thread
            v = _find_earlier(arrivals_s[:w], arrivals_s[w] - lag_s, applications, mine, left_held)
            if v >= 0:
                origin[w] = origin[v]
                group_of[at] = left_group[v]
                held[at] = left_held[v]
                asked[at] = left_asked[v]
                caller[at] = left_caller[v]
                left_held[v] = 0
            else:
                score = hashing.normal(key, hashing.CONTINUATION_LAG, -1 - w)
                held[at] = max(int(draw_law(laws, levels, values, machine.context, score) + 0.5), 1)
                asked[at] = held[at]
                caller[at] = -1
                group_of[at] = next_group
                next_group += 1
        owner = origin[w]
        tenant = pick(tenant_cdf, hashing.uniform(key, hashing.TENANT, owner))
        workflow = workflows[w]
        workflow.arrival_s = arrivals_s[w]
        workflow.deadline_s = arrivals_s[w] + machine.deadline_s * time_scale
        workflow.ttft_limit_s = machine.ttft_limit_s * time_scale
        workflow.weight = machine.weight
        workflow.cls = machine.cls
        workflow.application = mine
        workflow.tenant = tenant
        workflow.ingress_cluster = tenant % num_clusters
        workflow.first_stage = s
        workflow.num_stages = calls[w]

        # Laws were fitted over calls, among which long workflows count more often than among workflows.
        own_calls = hashing.normal(key, hashing.CALLS, w) - machine.calls_mean
        chance = hashing.normal(key, hashing.JOB_EFFECT, w * 4)
        own_output = machine.effect_a * own_calls + machine.effect_b * chance
        own_prompt = machine.effect_c * own_calls + machine.effect_d * chance
        own_prompt += machine.effect_e * hashing.normal(key, hashing.JOB_EFFECT, w * 4 + 1)
        own_gap = hashing.normal(key, hashing.JOB_EFFECT, w * 4 + 2)
        rest_output = math.sqrt(1.0 - machine.load_output * machine.load_output)
        rest_prompt = math.sqrt(1.0 - machine.load_prompt * machine.load_prompt)
        rest_gap = math.sqrt(1.0 - machine.load_gap * machine.load_gap)

        count = machine.num_states
        local = 0
        for place in range(calls[w]):
            entity = w * STRIDE + place
            onward_at = machine.onward_at + (calls[w] - 1 - place) * count
            u = hashing.uniform(key, hashing.BRANCH, entity)
            if place == 0:
                local = _next_state(starts, machine.first_state, onward, onward_at, count, u)
            else:
                local = _next_state(transition, machine.walk_at + local * count, onward, onward_at, count, u)
            state_id = machine.first_state + local
            state = states[state_id]
            role = roles[state.role]
            model = pick(
                deployment_cdf[role.size_class],
                hashing.uniform(key, hashing.DEPLOYMENT, owner * 8 + role.size_class),
            )
            limit_tokens = min(role.max_output_tokens, max(max_model_len[model] // 2, 1))
            room_tokens = max(max_model_len[model] - limit_tokens, 1)
            score = machine.load_output * own_output + rest_output * hashing.normal(key, hashing.OUTPUT_TOKENS, entity)
            output_tokens = int(draw_law(laws, levels, values, state.output, score) + 0.5)
            output_tokens = min(max(output_tokens, 1), limit_tokens)

            score = machine.load_prompt * own_prompt + rest_prompt * hashing.normal(key, hashing.INPUT_TOKENS, entity)
            thread = state.thread
            reusable = 0
            group = -1
            fresh = True
            if thread >= 0:
                before = caller[thread]
                if group_of[thread] < 0:
                    group_of[thread] = next_group
                    next_group += 1
                elif before < 0 or hashing.uniform(key, hashing.RESET, entity) >= states[before].reset:
                    fresh = False
                group = group_of[thread]
            if fresh:
                prompt_tokens = int(draw_law(laws, levels, values, state.prompt, score) + 0.5)
                prompt_tokens = max(prompt_tokens, role.system_tokens + 1)
            else:
                growing = states[caller[thread]].grows if caller[thread] >= 0 else state.grows
                gain = draw_law(laws, levels, values, growing, score)
                gain *= 1.0 + machine.youth_extra * math.exp(-(place - 1) / machine.youth_calls)
                prompt_tokens = max(int(held[thread] + gain + 0.5), asked[thread], 1)
                reusable = min(held[thread], prompt_tokens)
            if prompt_tokens > room_tokens:
                shortened[model] += 1
                if fresh:
                    prompt_tokens = room_tokens
                else:
                    behind = max(room_tokens - role.system_tokens, 0)
                    prompt_tokens = max(min(role.system_tokens, room_tokens) + int(behind * COMPACTED), 1)
                    reusable = min(role.system_tokens, prompt_tokens)

            stage = stages[s]
            stage.workflow = w
            stage.role = state.role
            stage.model = model
            stage.prompt_tokens = prompt_tokens
            stage.max_output_tokens = limit_tokens
            stage.invocation_index = role_calls[state.role]
            stage.tools_available = role.tools
            stage.sys_group = role.sys_group
            stage.sys_prefix_tokens = min(role.system_tokens, prompt_tokens)
            stage.ctx_group = group
            stage.ctx_prefix_tokens = min(reusable, prompt_tokens)
            truth = hidden[s]
            truth.output_tokens = output_tokens
            truth.tool_intent = state.tool
            score = machine.load_gap * own_gap + rest_gap * hashing.normal(key, hashing.TOOL_GAP, entity)
            truth.tool_gap_s = draw_law(laws, levels, values, state.gap, score) * time_scale
            if thread >= 0:
                asked[thread] = prompt_tokens
                held[thread] = prompt_tokens + output_tokens * state.keeps_output
                caller[thread] = state_id
            role_calls[state.role] += 1
            parent_start[s] = edges
            if place > 0:
                parents[edges] = s - 1
                edges += 1
            s += 1
        if machine.continues > 0.0 and group_of[machine.first_thread] >= 0:
            at = machine.first_thread
            left_held[w] = held[at]
            left_asked[w] = asked[at]
            left_group[w] = group_of[at]
            left_caller[w] = caller[at]
    parent_start[s] = edges
