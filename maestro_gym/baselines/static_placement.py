"""No-Colocation: which nodes a model is pinned to.

Models are ranked by their expected popularity. With no more models than nodes, every model gets a
node and the rest of the nodes go to models in proportion to popularity. With more models than
nodes, ranks are dealt to the nodes in a snake (0, 1, .., n-1, n-1, .., 0), so that popular models
sit apart; models with a common home then take turns on it, never two at once (a modelling choice:
the rival itself presumes a node for every model).
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.state import View


@njit
def popularity_rank(view: View, model: int) -> int:
    """Number of models that are more popular; the lower id wins a tie."""
    mine = float(view.world.models[model].popularity)
    rank = 0
    for other in range(view.world.models.shape[0]):
        theirs = float(view.world.models[other].popularity)
        if theirs > mine or (theirs == mine and other < model):
            rank += 1
    return rank


@njit
def is_home(view: View, model: int, node: int) -> bool:
    """Whether a model is pinned to a node."""
    num_nodes = view.world.nodes.shape[0]
    num_models = view.world.models.shape[0]
    rank = popularity_rank(view, model)
    if num_models >= num_nodes:
        turn, place = rank // num_nodes, rank % num_nodes
        return node == (place if turn % 2 == 0 else num_nodes - 1 - place)
    if node < num_models:
        return node == rank
    # The spare nodes divide the unit of popularity evenly; each goes to the model at its middle.
    middle = (node - num_models + 0.5) / (num_nodes - num_models)
    total, before = 0.0, 0.0
    for other in range(num_models):
        total += float(view.world.models[other].popularity)
        if popularity_rank(view, other) < rank:
            before += float(view.world.models[other].popularity)
    if total <= 0.0:
        return (node - num_models) % num_models == rank
    after = before + float(view.world.models[model].popularity)
    return before <= middle * total < after
