"""A node of one model at a time that serves it by deadline and reserves the whole output limit: Maestro's EDF baseline.

What its authors publish of it is that it is blind to lengths, binds early, and has neither co-location nor elastic KV.
"""

from __future__ import annotations

from maestro_gym.baselines.node.exclusive import serve_exclusively
from maestro_gym.baselines.orders.edf import key
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import NodeRule
from maestro_gym.state import RESERVE_MAX, Hidden, View


@njit
def decide(view: View, oracle: Hidden, e: int) -> int:
    """Earliest deadline first, with the prompt and the output limit reserved."""
    return serve_exclusively(view, oracle, e, key, RESERVE_MAX)


RULE = NodeRule(
    decide=decide,
    name="exclusive-edf",
    information="N",
    description="one model RUNNING at a time, EDF, prompt + max_output_tokens reserved, whole-node swaps",
    source="Maestro's EDF baseline (arXiv 2606.12950)",
    choice="as exclusive; the context limit is the output limit of the call, which its agent declares",
    rival=False,
)
