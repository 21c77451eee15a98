"""The gateway of `orders.gateway_hold` with its rejection: held while capacity is short, turned away when hopeless (V).

    admitted    deadline - now - T_rem >= wait_factor * wait
    deferred    0 <= deadline - now - T_rem < wait_factor * wait
    rejected    deadline - now - T_rem < 0

The order of the same name holds every call, in order of deadline, and has to keep what is hopeless. Here any order
stands behind the gateway, which looks at whole workflows before they begin.
"""

from __future__ import annotations

from maestro_gym.baselines.orders.gateway_hold import HELD, HOPELESS, NUMBERS, band
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import ADMITS, DEFERS, REJECTS, admit_by
from maestro_gym.state import View


@njit
def verdict(view: View, e: int, stage: int) -> int:
    """``ADMITS``, ``DEFERS`` or ``REJECTS``."""
    its_band = band(view, e, stage)
    if its_band == HOPELESS:
        return REJECTS
    return DEFERS if its_band == HELD else ADMITS


RULE = admit_by(
    verdict,
    defers=True,
    numbers=NUMBERS,
    name="gateway",
    information="P",
    description="holds back what the measured capacity does not let be in time, and turns away what is hopeless",
    source="gateway hold (V)",
    choice="whole workflows before they begin; capacity: the least work at a node over the nominal batch",
)
