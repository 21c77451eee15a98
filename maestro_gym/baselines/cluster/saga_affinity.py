"""SAGA's session affinity with work stealing (V abstract): where the session's KV is, unless others are much idler.

    cost = stages at the node - (gap + 1/2 at the node where the workflow's last stage ran)

Source: SAGA, arXiv 2605.00528 (HPDC 2026): session-affinity batching co-locates the calls of a workflow, and idle
workers steal from loaded ones. Class N. Adapted (I): calls are stolen when they are placed, for none moves after that;
a node steals if it has more than `steal_gap` stages fewer than the session's home, for which SAGA's condition was not
found. The default is the gap that AIBrix calls imbalance. Affinity needs the model to be warm at home. What SAGA keeps
in memory is `saga-wa-lru`.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import COLD_COST
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import is_warm, model_of, number, workflow_of
from maestro_gym.state import View

NUMBERS = (
    Number(
        "steal_gap", "stages", 0, 64, 8, "A node takes a session's stage if it has more than this many stages fewer."
    ),
)
(STEAL_GAP,) = places(NUMBERS)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Stages at the node, less the gap at the session's home; cold nodes last."""
    stages = float(stages_at(view, e, node))
    if not is_warm(view, e, node, model_of(view, e, stage)):
        return stages + COLD_COST
    at_home = int(view.workflows[e, workflow_of(view, e, stage)].last_node) == node
    return stages - number(view, e, STEAL_GAP) - 0.5 if at_home else stages


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="saga-affinity",
    information="N",
    description="where the workflow's last stage ran, unless a warm node has many stages fewer",
    source="SAGA, arXiv 2605.00528 (V abstract)",
    choice="stealing when a stage is placed; its gap (I) is a number",
)
