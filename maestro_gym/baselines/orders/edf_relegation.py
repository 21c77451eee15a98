"""EDF with relegation: earliest deadline first, but what can no longer be in time goes behind all that can.

    band = [deadline - now - stretch * T_rem < margin], key = deadline

Plain EDF serves hopeless workflows first and so makes others late (the domino effect); relegation is QoServe's
(arXiv 2503.22562, V), without its hybrid key. T_rem is nominal; ``stretch`` says how much slower a crowded fleet is.
"""

from __future__ import annotations

from maestro_gym.baselines.orders import edf
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import slack_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import number, remaining_s
from maestro_gym.state import View

NUMBERS = (
    Number("stretch", "1", 0.5, 4, 1, "Factor on T_rem in the slack: how much slower calls run than alone."),
    Number("relegation_margin", "s", -60, 60, 0, "Slack below which a workflow goes behind all others."),
)
STRETCH, RELEGATION_MARGIN = places(NUMBERS)


@njit
def band(view: View, e: int, stage: int) -> int:
    """1 for what can no longer be in time, 0 for the rest."""
    slower_s = (number(view, e, STRETCH) - 1.0) * remaining_s(view, e, stage)
    return 1 if slack_s(view, e, stage) - slower_s < number(view, e, RELEGATION_MARGIN) else 0


RULE = order_by(
    edf.key,
    band=band,
    slope=keeps,
    numbers=NUMBERS,
    name="edf-relegation",
    information="P",
    description="earliest deadline first; what can no longer be in time goes last",
    source="EDF (textbook), relegation of QoServe, arXiv 2503.22562 (V)",
    choice="in time: deadline - now - T_rem is at least 0",
)
