"""The admission of the shaped family: what will be too late is turned away, nothing by default.

    rejected    -s > reject_lateness > 0

with the slack s = deadline - now - stretch * T_rem of the family's order (``orders.shaped``). It is asked again while a
workflow waits, so that the margin is a lateness that is still worth serving and no error of a prediction.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.slack import slack_of
from maestro_gym.baselines.shaped.numbers import REJECT_LATENESS
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import ADMITS, REJECTS, admit_by
from maestro_gym.scheduling.view import number
from maestro_gym.state import View


@njit
def verdict(view: View, e: int, stage: int) -> int:
    """``REJECTS`` what will be later than the family's threshold, ``ADMITS`` the rest."""
    return REJECTS if 0.0 < number(view, e, REJECT_LATENESS) < -slack_of(view, e, stage) else ADMITS


RULE = admit_by(
    verdict,
    name="shaped",
    information="P",
    description="turns away what will be too late, nobody by default",
    source="this project",
    choice="one threshold of lateness, searched with the other numbers",
    rival=False,
)
