"""Agentix ATLAS: least service along the longest completed path of the program (2502.13965, NSDI 2026; rule V-2nd).

    p(v) = max over parents u of p(u) + t_u, one scalar for a program: the largest p(u) + t_u so far

A program with parallel calls is as long as its longest chain, not as their sum, which PLAS takes. Levels, order inside
a level and starvation are those of ``plas``.

Adapted: who waits for whom is not in the view, so the path takes the longest completed call of each depth
(`scheduling.history.completed_path_s`).
"""

from __future__ import annotations

from maestro_gym.baselines.orders import plas
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.history import completed_path_s
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import now_s
from maestro_gym.state import View


@njit
def band(view: View, e: int, stage: int) -> int:
    """Its level by the longest path; the first one when its program starves."""
    if now_s(view, e) > plas.starves_s(view, e, stage):
        return 0
    return plas.level_of(view, e, completed_path_s(view, e, stage))


RULE = order_by(
    plas.key,
    band=band,
    slope=keeps,
    until=plas.until,
    numbers=plas.NUMBERS,
    name="atlas",
    information="N",
    description="least service on the longest completed path of the workflow, in the levels of plas",
    source="Agentix ATLAS, arXiv 2502.13965 (V-2nd)",
    choice="the longest completed call of each depth stands for the path; quantum and beta as in plas",
)
