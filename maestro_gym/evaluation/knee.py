"""The knee of a scenario: the arrival rate at which the backlog of a reference policy stops draining.

An episode has a window of arrivals and a drain, so the question is whether the drain suffices: the backlog drains at a
rate if, in the median episode, at most `LEFT_SHARE` of the workflows are unfinished at the end of it. docs/workloads.md
says why this, and not the growth of the backlog in the window, and why the median.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maestro_gym.baselines import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.scheduling.policy import Policy

POLICY = "maestro"
"""Whose backlog is looked at unless another is named."""

SEEDS = tuple(range(9))
"""Validation seeds that a knee is measured on: no table is made from these episodes."""

LEFT_SHARE = 0.01
"""Share of the workflows that may be left at the end of the drain (choice): the last few wait for a rare model."""

LOWEST, HIGHEST = 0.125, 16.0
"""Offered loads, relative to capacity, between which the knee is looked for (choice): seven octaves around 1.4."""

STEPS = 8
"""Halvings: seven octaves become 2^(7/256), so the knee is known within 1 % on either side."""


@dataclass(frozen=True)
class Knee:
    """A measured knee.

    Attributes:
        load: Offered load relative to capacity: the geometric middle of the bracket, to three digits.
        rate_rps: The same as an arrival rate, workflows a second.
        capacity_rps: The nominal capacity.
        drained: The highest load tried that drained, and the share of workflows that its median episode left.
        kept: The lowest load tried that did not, and the share of workflows that its median episode left.
    """

    load: float
    rate_rps: float
    capacity_rps: float
    drained: tuple[float, float]
    kept: tuple[float, float]


def measure_knee(
    name: str,
    overrides: Sequence[str] = (),
    *,
    policy: str = POLICY,
    seeds: Sequence[int] = SEEDS,
    trust: bool = False,
) -> Knee:
    """Find the knee of a scenario by bisection over the arrival rate.

    Args:
        name: Name or file of a scenario.
        overrides: ``dotted.place=value``.
        policy: Name of the reference policy.
        seeds: Validation seeds, an episode each at every rate.
        trust: Whether a Python file that the policy's file names may be run.

    Returns:
        The knee.

    Raises:
        MaestroError: The arrivals follow no rate, or the knee lies outside `LOWEST` to `HIGHEST`.
    """
    scenario = Scenario.load(name, overrides)
    _refuse_fixed_times(scenario)
    left: dict[float, float] = {}
    with WorkProgress(f"knee of {scenario.config.name}", "episodes", STEPS * len(seeds)) as shown:

        def drains(load: float) -> bool:
            loaded = Scenario.load(name, [*overrides, "workload.rate_rps=null", f"workload.load={load!r}"])
            decides = load_policy(policy, loaded, trust=trust)
            shares = []
            for seed in seeds:
                shares.append(_left_share(loaded, decides, seed))
                shown.update(len(left) * len(seeds) + len(shares), note=f"load {load:.3g}")
            left[load] = float(np.median(shares))
            return left[load] <= LEFT_SHARE

        drained, kept = bisect(drains, LOWEST, HIGHEST, STEPS)
    _refuse_the_ends(scenario, left, drained, kept)
    load = float(f"{(drained * kept) ** 0.5:.3g}")
    capacity_rps = scenario.capacity_rps
    return Knee(load, load * capacity_rps, capacity_rps, (drained, left[drained]), (kept, left[kept]))


def bisect(holds: Callable[[float], bool], low: float, high: float, steps: int) -> tuple[float, float]:
    """Close in on where something stops to hold, by halving on a logarithmic scale.

    Args:
        holds: Asked for ``steps`` values; the ends are not asked for.
        low: Where it is taken to hold, above 0.
        high: Where it is taken not to hold.
        steps: How often the interval is halved.

    Returns:
        The highest value found to hold and the lowest found not to; ``low`` or ``high`` where there is none.
    """
    for _ in range(steps):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def _left_share(scenario: Scenario, policy: Policy, seed: int) -> float:
    """Run a validation episode; the share of its workflows that are unfinished, 0 where none arrived."""
    finished_s = run_episode(scenario, policy, "validation", seed, samples=0).workflows["finished_s"]
    return float(np.isinf(finished_s).sum() / max(len(finished_s), 1))


def _refuse_fixed_times(scenario: Scenario) -> None:
    workload = scenario.config.workload
    if workload.trace is not None and workload.trace_arrivals == "own":
        raise MaestroError(
            f"Scenario `{scenario.config.name}`: with workload.trace_arrivals=own the arrivals follow no rate, so "
            "there is no knee to look for. Write workload.trace_arrivals=scaled."
        )


def _refuse_the_ends(scenario: Scenario, left: dict[float, float], drained: float, kept: float) -> None:
    name, share = scenario.config.name, f"{100 * LEFT_SHARE:g} %"
    if drained not in left:
        raise MaestroError(
            f"Scenario `{name}`: even at an offered load of {kept:.2g} the median episode leaves "
            f"{100 * left[kept]:.1f} % of its workflows unfinished, more than {share}. Lengthen drain_s, which is "
            f"{scenario.config.drain_s:g} s, beyond the longest workflow."
        )
    if kept not in left:
        raise MaestroError(
            f"Scenario `{name}`: up to an offered load of {drained:.3g} the median episode leaves at most {share} of "
            f"its workflows unfinished. Shorten drain_s, which is {scenario.config.drain_s:g} s, or "
            f"lengthen horizon_s, which is {scenario.config.horizon_s:g} s."
        )
