"""The DAG of an episode: children lists, and what truly remains after every stage."""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.state import PREDICTION, Episode
from maestro_gym.state.allocate import by_name


@njit
def link_children(parent_start: np.ndarray, parents: np.ndarray, hidden: np.ndarray, children: np.ndarray) -> None:
    """Turn parent lists into child lists.

    Args:
        parent_start: int64, shape (num_stages + 1,): parents of s are ``parents[parent_start[s]:parent_start[s+1]]``.
        parents: int64, shape (num_edges,), stage ids.
        hidden: STAGE_HIDDEN, shape (num_stages,); num_parents, child_start, num_children are written.
        children: int64, shape (num_edges,), written.
    """
    num_stages = len(hidden)
    for s in range(num_stages):
        hidden[s].num_parents = parent_start[s + 1] - parent_start[s]
        hidden[s].num_children = 0
    for edge in range(parent_start[num_stages]):
        hidden[parents[edge]].num_children += 1
    total = 0
    for s in range(num_stages):
        hidden[s].child_start = total
        total += hidden[s].num_children
        hidden[s].num_children = 0
    for s in range(num_stages):
        for edge in range(parent_start[s], parent_start[s + 1]):
            p = parents[edge]
            children[hidden[p].child_start + hidden[p].num_children] = s
            hidden[p].num_children += 1


@njit
def nominal_s(service: np.ndarray, model: int, prompt_tokens: float, output_tokens: float) -> float:
    """Nominal service time of a call alone on its node (Maestro: T_current), in seconds."""
    row = service[model]
    return row.prefill_base_s + row.prefill_s_per_token * prompt_tokens + row.decode_s_per_token * output_tokens


@njit
def fill_remaining(
    workflows: np.ndarray, stages: np.ndarray, hidden: np.ndarray, children: np.ndarray, service: np.ndarray
) -> None:
    """Write hidden.remaining_s and remaining_calls, and drop tool gaps that nothing waits for.

    remaining_s is the longest path of service and gap time from a stage to the end of its
    workflow, the stage included; remaining_calls counts the stages that depend on it.
    """
    for w in range(len(workflows)):
        first = workflows[w].first_stage
        count = workflows[w].num_stages
        reached = np.zeros(count, np.int64)
        for local in range(count - 1, -1, -1):
            s = first + local
            tail_s = 0.0
            if hidden[s].num_children == 0:
                hidden[s].tool_gap_s = 0.0
            reached[:] = 0
            reached[local] = 1
            calls = 0
            for c in range(hidden[s].num_children):
                tail_s = max(tail_s, hidden[children[hidden[s].child_start + c]].remaining_s)
            for t in range(local, count):
                if reached[t] == 0:
                    continue
                calls += 1
                start = hidden[first + t].child_start
                for edge in range(start, start + hidden[first + t].num_children):
                    reached[children[edge] - first] = 1
            own_s = nominal_s(service, stages[s].model, stages[s].prompt_tokens, hidden[s].output_tokens)
            hidden[s].remaining_s = own_s + hidden[s].tool_gap_s + tail_s
            hidden[s].remaining_calls = calls - 1


@njit
def fill_depth(parent_start: np.ndarray, parents: np.ndarray, stages: np.ndarray) -> None:
    """Write stages.depth: the longest path from a root, in edges."""
    for s in range(len(stages)):
        depth = 0
        for edge in range(parent_start[s], parent_start[s + 1]):
            depth = max(depth, stages[parents[edge]].depth + 1)
        stages[s].depth = depth


def assemble(
    workflows: np.ndarray,
    stages: np.ndarray,
    hidden: np.ndarray,
    parent_start: np.ndarray,
    parents: np.ndarray,
    service: np.ndarray,
) -> Episode:
    """Finish an episode whose workflows, stages and parent lists are known.

    Args:
        workflows: WORKFLOW, shape (num_workflows,), sorted by arrival.
        stages: STAGE, shape (num_stages,), contiguous per workflow, parents before children.
        hidden: STAGE_HIDDEN, shape (num_stages,), with output_tokens, tool_intent and tool_gap_s.
        parent_start: int64, shape (num_stages + 1,).
        parents: int64, shape (num_edges,).
        service: SERVICE, shape (num_models,).

    Returns:
        The episode, its predictions zero. ``hidden`` is completed in place.
    """
    children = np.empty(int(parent_start[-1]), np.int64)
    named_stages, named_hidden = by_name(stages), by_name(hidden)
    link_children(parent_start, parents, named_hidden, children)
    fill_depth(parent_start, parents, named_stages)
    fill_remaining(by_name(workflows), named_stages, named_hidden, children, by_name(service))
    return Episode(workflows, stages, hidden, np.zeros(len(stages), PREDICTION), children)
