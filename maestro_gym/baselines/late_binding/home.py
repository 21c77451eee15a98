"""No-Colocation: which nodes a model is pinned to.

Models are ranked by their expected popularity. With no more models than nodes, every model gets a
node and the rest of the nodes go to models in proportion to popularity. With more models than
nodes, ranks are dealt to the nodes in a snake (0, 1, .., n-1, n-1, .., 0), so that popular models
sit apart; models with a common home then take turns on it, never two at once (a modelling choice:
the rival itself presumes a node for every model).
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import may_place
from maestro_gym.scheduling.view import num_models, num_nodes
from maestro_gym.state import DUTY_BOTH, View


@njit
def popularity_rank(view: View, model: int) -> int:
    """Number of models that are more popular; the lower id wins a tie."""
    mine = float(view.world.models[model].popularity)
    rank = 0
    for other in range(num_models(view)):
        theirs = float(view.world.models[other].popularity)
        if theirs > mine or (theirs == mine and other < model):
            rank += 1
    return rank


@njit
def is_home(view: View, model: int, node: int) -> bool:
    """Whether a model is pinned to a node.

    Where it may be on none of those dealt to it, or they compute another part of a call, it is pinned to all others.
    """
    duty = int(view.world.nodes[node].duty)
    if int(view.world.models[model].barred_nodes) == 0 and duty == DUTY_BOTH:
        return _is_dealt(view, model, node)
    if not may_place(view, node, model):
        return False
    for other in range(num_nodes(view)):
        same = int(view.world.nodes[other].duty) == duty
        if same and _is_dealt(view, model, other) and may_place(view, other, model):
            return _is_dealt(view, model, node)
    return True


@njit
def _is_dealt(view: View, model: int, node: int) -> bool:
    """Whether the deal of ranks to nodes gives a node to a model."""
    nodes, models = num_nodes(view), num_models(view)
    rank = popularity_rank(view, model)
    if models >= nodes:
        turn, place = rank // nodes, rank % nodes
        return node == (place if turn % 2 == 0 else nodes - 1 - place)
    if node < models:
        return node == rank
    # The spare nodes divide the unit of popularity evenly; each goes to the model at its middle.
    middle = (node - models + 0.5) / (nodes - models)
    total, before = 0.0, 0.0
    for other in range(models):
        total += float(view.world.models[other].popularity)
        if popularity_rank(view, other) < rank:
            before += float(view.world.models[other].popularity)
    if total <= 0.0:
        return (node - models) % models == rank
    after = before + float(view.world.models[model].popularity)
    return before <= middle * total < after
