"""Late binding: to which nodes a stage is open, given where its model is.

A stage on a node without its model takes a queue place that a stage of a RUNNING model would use at
once, and may make engines drain. So residency-aware policies keep such a stage in the global queue.
It goes to a node that can start its model without harm if no node has the model or expects it, or
if it has waited as long as the start takes (the break-even of waiting for the one and starting
another). It displaces other models (``displacement``) only when no node has or expects its model and
none can start it without harm. A node takes stages of one absent model at a time, for half its
queue. All of this is a modelling choice, the same for Maestro and its rivals.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.holds import is_crowded, wants_replica
from maestro_gym.baselines.late_binding.home import is_home
from maestro_gym.baselines.late_binding.room import can_start, is_overdue, start_time_s
from maestro_gym.core.bits import first_of, lowest, not_below, word_of
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.sets import cluster_nodes, may_spare, num_words, roomy_nodes, warm_nodes, welcoming_nodes
from maestro_gym.scheduling.view import (
    is_warm,
    model_of,
    newcomer_places,
    num_newcomers,
    num_waiting,
)
from maestro_gym.state import RESERVE_PROMPT, View

GATE_NONE, GATE_FLEET, GATE_CLUSTER, GATE_HOME, GATE_HELD, GATE_BOUND_HOME = range(6)
NUM_GATES = 6


@njit
def is_expected_somewhere(view: View, e: int, model: int) -> bool:
    """Whether a node of the fleet runs or loads a model, or was sent a stage that will start it."""
    return int(view.models[e, model].warm_nodes) > 0 or int(view.models[e, model].waiting) > 0


@njit
def starts_without_harm(view: View, e: int, stage: int, node: int) -> bool:
    """Whether a stage may go to a node without its model and displace nobody."""
    if not can_route(view, e, stage, node) or not takes_newcomer(view, e, node, model_of(view, e, stage)):
        return False
    return can_start(view, e, node, stage, RESERVE_PROMPT, False)


@njit
def takes_newcomer(view: View, e: int, node: int, model: int) -> bool:
    """Whether a node has a place for a stage of a model that is not warm there."""
    mine = num_waiting(view, e, node, model)
    return num_newcomers(view, e, node) == mine and mine < newcomer_places(view)


@njit
def is_expected(view: View, e: int, stage: int, gate: int) -> bool:
    """Whether a stage should rather wait for a node that has its model, as ``is_open`` asks; once a stage."""
    if gate != GATE_FLEET and gate != GATE_HELD:
        return False
    model = model_of(view, e, stage)
    return is_expected_somewhere(view, e, model) and not wants_replica(view, e, model)


@njit
def asks_cold_nodes(view: View, e: int, stage: int, expected: bool) -> bool:
    """Whether a stage may go where its model is not warm; the least patience is asked, for it costs nothing."""
    return not expected or is_overdue(view, e, stage, 0.0)


@njit
def may_be_open(view: View, e: int, model: int, gate: int, cold: bool, word: int) -> int:
    """Nodes outside which `is_open` says no, as a word of a set; ``cold`` is the answer of `asks_cold_nodes`."""
    if gate in (GATE_NONE, GATE_HOME, GATE_BOUND_HOME):
        return roomy_nodes(view, e, word)
    nodes = warm_nodes(view, e, model, word)
    return nodes | welcoming_nodes(view, e, model, word) if cold else nodes


@njit
def next_maybe(view: View, e: int, model: int, cluster: int, gate: int, cold: bool, node: int) -> int:
    """The node after ``node`` of `may_be_open` and of a cluster, of the fleet for -1; -1 when there is none."""
    for word in range(word_of(node + 1), num_words(view)):
        nodes = may_be_open(view, e, model, gate, cold, word) & cluster_nodes(view, e, cluster, word)
        nodes &= not_below(node + 1, word)
        if nodes != 0:
            return first_of(word) + lowest(nodes)
    return -1


@njit
def is_open(view: View, e: int, stage: int, node: int, gate: int, expected: bool) -> bool:
    """Whether a stage may go to a node now under a gate; ``expected`` is the answer of ``is_expected``.

    ``GATE_NONE``: wherever there is room. ``GATE_FLEET``: as this module says. ``GATE_CLUSTER``: the
    same for a stage that was sent already. ``GATE_HOME``: to its home nodes only, which take it as a newcomer.
    ``GATE_BOUND_HOME``: to its home nodes, wherever there is room. ``GATE_HELD``: as ``GATE_FLEET``, to nodes that
    are not crowded (``holds``).
    """
    if not can_route(view, e, stage, node):
        return False
    if gate == GATE_NONE:
        return True
    model = model_of(view, e, stage)
    if gate == GATE_BOUND_HOME:
        return is_home(view, model, node)
    if gate == GATE_HOME and not is_home(view, model, node):
        return False
    if gate == GATE_HELD and is_crowded(view, e, stage, node):
        return False
    if is_warm(view, e, node, model):
        return True
    if gate == GATE_HOME:
        return takes_newcomer(view, e, node, model)
    if not asks_cold_nodes(view, e, stage, expected):
        return False
    if expected and not is_overdue(view, e, stage, start_time_s(view, e, node, stage)):
        return False
    return may_spare(view, e, node, model) and starts_without_harm(view, e, stage, node)
