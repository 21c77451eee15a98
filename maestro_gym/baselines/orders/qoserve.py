"""QoServe (Niyama): deadline and remaining work in one key, and hopeless workflows last (arXiv 2503.22562, V).

    key = arrival + SLO + alpha * remaining tokens

with the tokens, prompts and outputs, of the call and of all that will follow it. Alpha 0 is EDF, a large alpha the
shortest remaining work first; theirs is 8 ms a token under load and 1 ms at low load. Eager relegation: a workflow that
can no longer meet its deadline goes behind all that can.

Adapted: a request of theirs is a workflow of ours, and its work a prediction. Alpha does not move with the load. Their
dynamic chunk size, from the slack of the batch, belongs to an engine, which no policy sets here.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import remaining_tokens, slack_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import number, workflow_of
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number("alpha", "s/token", 0, 0.05, 0.008, "Key for each predicted token; 8 ms is QoServe's own, under load."),
    Number("relegation_margin", "s", -60, 60, 0, "Slack below which a workflow goes behind all others."),
)
ALPHA, RELEGATION_MARGIN = places(NUMBERS)


@njit
def band(view: View, e: int, stage: int) -> int:
    """1 for what can no longer be in time, 0 for the rest."""
    return 1 if slack_s(view, e, stage) < number(view, e, RELEGATION_MARGIN) else 0


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Deadline, later by alpha for each token [s]."""
    deadline_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)
    return deadline_s + number(view, e, ALPHA) * remaining_tokens(view, e, stage)


RULE = order_by(
    key,
    band=band,
    slope=keeps,
    numbers=NUMBERS,
    name="qoserve",
    information="P",
    description="deadline + alpha * remaining tokens; what can no longer be in time goes last",
    source="QoServe / Niyama, arXiv 2503.22562 (V)",
    choice="alpha is that of a loaded system at every load; chunk sizes are left to the engine",
)
