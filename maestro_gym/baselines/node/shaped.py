"""The node rule of the shaped family: Maestro's, in the family's order, at a reservation level that is a number."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.serve import serve_queue
from maestro_gym.baselines.orders.shaped import band, key
from maestro_gym.baselines.shaped.numbers import RESERVATION
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import NodeRule, as_band, as_key
from maestro_gym.scheduling.view import number
from maestro_gym.state import NUM_RESERVE_LEVELS, Hidden, View


@njit
def decide(view: View, oracle: Hidden, e: int) -> int:
    """Serve the queue."""
    level = min(NUM_RESERVE_LEVELS - 1, max(0, round(number(view, e, RESERVATION))))
    return serve_queue(view, oracle, e, as_band(band), as_key(key), level, False)


RULE = NodeRule(
    decide=decide,
    name="shaped",
    information="P",
    description="Maestro's node rule in the family's order",
    source="this project",
    rival=False,
)
