"""Sets of nodes, a word at a time: where a rule looks instead of at the whole fleet.

A set says whom to ask, and never decides: whoever is left out of it would have been refused. Where no sets are kept,
as on a live fleet or in a state written by hand, all nodes are in each of them, but for the nodes of a cluster. Nodes
are met in order of their ids:

    node = next_roomy(view, e, cluster, -1)
    while node >= 0:
        ...
        node = next_roomy(view, e, cluster, node)
"""

from __future__ import annotations

from maestro_gym.core.bits import bit_of, first_of, full, lowest, not_below, word_of
from maestro_gym.core.calendar import look_up, next_node
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.view import cluster_of, is_scraped, now_s, num_nodes
from maestro_gym.state import SIGNAL_RESIDENCY, View

ROUNDING_S = 1e-6
"""Time by which a sum may differ that was added up in another order."""


@njit
def num_words(view: View) -> int:
    """Words of a set of nodes."""
    return view.roomy.shape[1]


@njit
def has_sets(view: View, e: int) -> bool:
    """Whether sets of nodes and lists of ready stages are kept."""
    return int(view.clock[e].indexed) == 1


@njit
def every_node(view: View, word: int) -> int:
    """All nodes."""
    return full(num_nodes(view), word)


@njit
def roomy_nodes(view: View, e: int, word: int) -> int:
    """Nodes whose queue has a free place."""
    return int(view.roomy[e, word]) if has_sets(view, e) else every_node(view, word)


@njit
def warm_nodes(view: View, e: int, model: int, word: int) -> int:
    """Nodes with a free place where a model is RUNNING or loading."""
    if is_scraped(view, e, SIGNAL_RESIDENCY):
        return roomy_nodes(view, e, word)  # who is held to be warm need not be
    return int(view.roomy[e, word] & view.warm[e, model, word]) if has_sets(view, e) else every_node(view, word)


@njit
def cluster_nodes(view: View, e: int, cluster: int, word: int) -> int:
    """Nodes of a cluster, of the whole fleet for -1; it holds where no sets are kept, too."""
    if cluster < 0:
        return every_node(view, word)
    if has_sets(view, e):
        return int(view.members[e, cluster, word])
    nodes = 0
    for node in range(first_of(word), min(first_of(word + 1), num_nodes(view))):
        nodes |= bit_of(node) if cluster_of(view, node) == cluster else 0
    return nodes


@njit
def welcoming_nodes(view: View, e: int, model: int, word: int) -> int:
    """Nodes with a free place that take stages of a model which is not warm there."""
    if not has_sets(view, e):
        return every_node(view, word)
    if is_scraped(view, e, SIGNAL_RESIDENCY):
        return int(view.roomy[e, word] & view.welcoming[e, word])
    return int(view.roomy[e, word] & view.welcoming[e, word] & ~view.warm[e, model, word])


@njit
def some_node_welcomes(view: View, e: int) -> bool:
    """Whether any node with a free place takes stages of models that are not warm there."""
    for word in range(num_words(view)):
        if not has_sets(view, e) or int(view.roomy[e, word] & view.welcoming[e, word]) != 0:
            return True
    return False


@njit
def next_roomy(view: View, e: int, cluster: int, node: int) -> int:
    """The node of a cluster after ``node`` whose queue has a free place, of the fleet for -1; -1 when there is none."""
    for word in range(word_of(node + 1), num_words(view)):
        nodes = roomy_nodes(view, e, word) & cluster_nodes(view, e, cluster, word) & not_below(node + 1, word)
        if nodes != 0:
            return first_of(word) + lowest(nodes)
    return -1


@njit
def next_asleep(view: View, e: int, model: int, node: int) -> int:
    """The node after ``node`` of `welcoming_nodes` where a model is SLEEPING, -1 when there is none."""
    for word in range(word_of(node + 1), num_words(view)):
        nodes = welcoming_nodes(view, e, model, word) & int(view.asleep[e, model, word]) & not_below(node + 1, word)
        if nodes != 0:
            return first_of(word) + lowest(nodes)
    return -1


@njit
def next_spare(view: View, e: int, model: int, node: int) -> int:
    """The node after ``node`` of `welcoming_nodes` with memory idle for as long as a start takes, -1 = none.

    Where the model sleeps a start takes less, which is for `next_asleep`.
    """
    calendar = view.spare_since_s[e, view.world.models[model].arch]
    until_s = now_s(view, e) - float(view.models[e, model].soonest_s) + ROUNDING_S
    node = next_node(calendar, node + 1, until_s)
    while node >= 0 and welcoming_nodes(view, e, model, word_of(node)) & bit_of(node) == 0:
        node = next_node(calendar, node + 1, until_s)
    return node


@njit
def may_spare(view: View, e: int, node: int, model: int) -> bool:
    """Whether memory of a node has been idle for as long as the start of a model takes there."""
    if not has_sets(view, e):
        return True
    since_s = look_up(view.spare_since_s[e, view.world.models[model].arch], node)
    return now_s(view, e) - since_s >= ready_time_s(view, e, node, model)


@njit
def next_welcoming(view: View, e: int, model: int, cluster: int, node: int) -> int:
    """The node after ``node`` of `welcoming_nodes` and of a cluster, -1 when there is none."""
    for word in range(word_of(node + 1), num_words(view)):
        nodes = welcoming_nodes(view, e, model, word) & cluster_nodes(view, e, cluster, word)
        nodes &= not_below(node + 1, word)
        if nodes != 0:
            return first_of(word) + lowest(nodes)
    return -1
