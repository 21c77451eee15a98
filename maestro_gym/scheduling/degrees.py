"""Tensor-parallel degrees of a board of GPUs: what they are, and how fast calls would be answered at each.

Of the calls that became ready of late a board gets an even share. At degree p it has G/p nodes, to which they come at a
rate, and each takes of a node what it takes of a full batch. From the step tables of these nodes (`node_speed`):

    alone_s  = prefill_s(prompt) + output * step_s(1)                          nothing else runs
    work_s   = prefill_s(prompt) + output * step_s(batch) / batch              its share of a full node
    rho      = sum of work_s / (window * boards * G/p)                         how busy the nodes are
    response = mean of alone_s / (1 - rho)                                     processor sharing (Kleinrock 1976)
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.node_speed import decode_step_s, prefill_s
from maestro_gym.scheduling.sizes import kv_bytes, weight_bytes
from maestro_gym.scheduling.view import model_of, now_s, ready_s
from maestro_gym.state import NODE_DRAINING, NODE_STARTING, View

OVERLOADED_S = 1e6
"""Response time, times rho, where more comes than can be served: the least overloaded degree is the best."""


@njit
def degree_of(view: View, node: int) -> int:
    """GPUs of a node."""
    return int(view.world.nodes[node].gpus)


@njit
def smallest_degree(view: View, node: int) -> int:
    """The fewest GPUs that a node of the board of ``node`` may have."""
    return degree_of(view, int(view.world.boards[view.world.nodes[node].board].first_node))


@njit
def largest_degree(view: View, node: int) -> int:
    """The most GPUs that one may have: all of the board."""
    board = view.world.boards[view.world.nodes[node].board]
    return degree_of(view, int(board.first_node + board.num_nodes - 1))


@njit
def next_degree(view: View, node: int, gpus: int) -> int:
    """The node of least id on the board of ``node`` with more GPUs than ``gpus``, -1 when there is none."""
    board = view.world.boards[view.world.nodes[node].board]
    for other in range(board.first_node, board.first_node + board.num_nodes):
        if degree_of(view, other) > gpus:
            return other
    return -1


@njit
def is_any_changing(view: View, e: int) -> bool:
    """Whether the GPUs of any board are between two degrees."""
    for node in range(view.nodes.shape[1]):
        if view.world.nodes[node].board >= 0 and view.nodes[e, node].node_state in (NODE_DRAINING, NODE_STARTING):
            return True
    return False


@njit
def is_recent(view: View, e: int, stage: int, window_s: float) -> bool:
    """Whether a stage became ready in the last ``window_s``; rows of stages that are not ready yet hold inf."""
    return now_s(view, e) - window_s < ready_s(view, e, stage) <= now_s(view, e)


@njit
def _full_batch(view: View, node: int, model: int, context_tokens: float) -> int:
    """Calls of one context that a node serves at once, with the model alone on it."""
    params = view.world.params[0]
    room = view.world.nodes[node].hbm_pool_bytes - weight_bytes(view, node, model) - params.margin_bytes
    fitting = room / (kv_bytes(view, node, model) * max(1.0, context_tokens))
    return max(1, min(int(params.max_num_seqs), int(fitting)))


@njit
def response_s(view: View, e: int, node: int, window_s: float) -> float:
    """Mean response time of recent calls if all boards had the degree of a node of theirs, 0 where there were none.

    Args:
        view: What a scheduler sees.
        e: Environment.
        node: A node of the degree; it may be off.
        window_s: How long ago a call may have become ready [s].
    """
    alone_s, work_s, calls = 0.0, 0.0, 0
    for stage in range(view.stages.shape[1]):
        if not is_recent(view, e, stage, window_s):
            continue
        model, record = model_of(view, e, stage), view.stages[e, stage]
        prompt, output = float(record.prompt_tokens), float(record.output_q50_tokens)
        prefill = prefill_s(view, node, model, prompt)
        batch = _full_batch(view, node, model, prompt + output)
        context = prompt + 0.5 * output
        alone_s += prefill + output * decode_step_s(view, node, model, 1, context)
        work_s += prefill + output * decode_step_s(view, node, model, batch, batch * context) / batch
        calls += 1
    if calls == 0:
        return 0.0
    nodes = view.world.boards.shape[0] * (largest_degree(view, node) // degree_of(view, node))
    busy = work_s / (min(window_s, max(1.0, now_s(view, e))) * nodes)
    return alone_s / calls / (1.0 - busy) if busy < 1.0 else OVERLOADED_S * busy


@njit
def quickest_degree(view: View, e: int, node: int, window_s: float, gain: float) -> int:
    """The degree of least response time, that of ``node`` unless another is quicker by a share; one board at a time.

    Args:
        view: What a scheduler sees.
        e: Environment.
        node: A node of the board that is on.
        window_s: As in `response_s`.
        gain: By how much of its own the response time must be longer now, for a change.
    """
    if is_any_changing(view, e):
        return degree_of(view, node)
    best, best_s = degree_of(view, node), response_s(view, e, node, window_s) / (1.0 + gain)
    other = int(view.world.boards[view.world.nodes[node].board].first_node)
    while other >= 0:
        its_s = response_s(view, e, other, window_s)
        if its_s < best_s:
            best, best_s = degree_of(view, other), its_s
        other = next_degree(view, node, degree_of(view, other))
    return best
