"""VTC with predicted answers: a call counts with the mean answer of its tenant while it runs (2401.00588, V).

    counter of a client = (prompt tokens + 2 * (tokens generated + running calls * mean answer so far)) / weight

Otherwise as `orders.vtc`. A counter that waits for the end of a call lets a client who is behind start too many; the
authors' variant with predictions charges at the start and corrects at the end, from a client's last five answers.

Adapted: the mean is over all answers so far, so that it needs no list; it reads the past alone.
"""

from __future__ import annotations

from dataclasses import replace

from maestro_gym.baselines.orders.vtc import NUMBERS as VTC_NUMBERS
from maestro_gym.baselines.orders.vtc import key, lift
from maestro_gym.scheduling.rules import order_by

NUMBERS = (*VTC_NUMBERS[:-1], replace(VTC_NUMBERS[-1], default=1.0))

RULE = order_by(
    key,
    begin=lift,
    numbers=NUMBERS,
    name="vtc-predict",
    information="N",
    description="vtc with the tenant's mean answer counted for calls that run",
    source="VTC, arXiv 2401.00588 (V)",
    choice="the mean of all answers so far, not of the last five",
)
