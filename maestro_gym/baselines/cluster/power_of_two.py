"""The shorter of two random queues (AIBrix power-of-two, V), warm nodes first."""

from __future__ import annotations

from maestro_gym.baselines.cluster.random import cost as draw
from maestro_gym.baselines.late_binding.choose_node import two_best_nodes
from maestro_gym.baselines.late_binding.displacement import displacement_node
from maestro_gym.baselines.late_binding.gates import is_expected
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.rules import Routing, as_cost
from maestro_gym.scheduling.view import is_warm, model_of
from maestro_gym.state import View


@njit
def drawn_cost(view: View, e: int, stage: int, node: int) -> float:
    """A draw between 0 and 1, one more where the model is not warm."""
    return draw(view, e, stage, node) + (0.0 if is_warm(view, e, node, model_of(view, e, stage)) else 1.0)


@njit
def shorter_of_two(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """The two nodes that were drawn first; of these the one with fewer stages, unless it alone is cold."""
    expected = is_expected(view, e, stage, gate)
    first, second = two_best_nodes(view, e, stage, cluster, as_cost(drawn_cost), gate, expected)
    if second >= 0 and stages_at(view, e, second) < stages_at(view, e, first):
        model = model_of(view, e, stage)
        if is_warm(view, e, second, model) or not is_warm(view, e, first, model):
            return second
    return first if first >= 0 else displacement_node(view, e, stage, cluster, gate, expected)


RULE = Routing(
    node=shorter_of_two,
    name="power-of-two",
    information="N",
    description="the shorter of two random queues",
    source="AIBrix power-of-two (V)",
)
