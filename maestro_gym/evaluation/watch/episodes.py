"""Which episodes are watched: simulated now, or kept by a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.finished_run import read_run
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.report.episode_trace import Trace, trace_of
from maestro_gym.evaluation.report.page.answer import hardest
from maestro_gym.evaluation.report.page.timelines import carried
from maestro_gym.evaluation.worker import TIME_SERIES_POINTS, Runner, policy_of, scenario_of

MOST_SIDE_BY_SIDE = 2
"""Policies that a page shows."""


def simulated(
    scenario: str,
    policies: Sequence[str],
    *,
    overrides: Sequence[str] = (),
    split: str = "test",
    seed: int = 0,
    runner: Runner | None = None,
) -> list[Trace]:
    """Run one or two policies on the same episode.

    Args:
        scenario: Name or file.
        policies: Specs, as of `compare`.
        overrides: ``dotted.place=value``.
        split: Split of the episode.
        seed: Its seed.
        runner: How specs become policies and episodes; None takes the baselines' registry and driver.

    Raises:
        MaestroError: Something asked for does not exist, or more policies than two are.
    """
    _refuse_many(policies)
    runner, place = runner or Runner(), (scenario, tuple(overrides))
    world = scenario_of(*place)
    loaded = [policy_of(runner, spec, *place) for spec in policies]
    traces = []
    with WorkProgress("simulating", "episodes", len(loaded)) as shown:
        for number, policy in enumerate(loaded, start=1):
            result = runner.run(world, policy, split=split, seed=seed, index=0, samples=TIME_SERIES_POINTS)
            named = replace(result, scenario=world.config.name, contention=world.config.contention)
            traces.append(trace_of(named))
            shown.update(number)
    return traces


def kept(
    folder: Path, policies: Sequence[str] = (), scenario: str | None = None, contention: str | None = None
) -> list[Trace]:
    """Read episodes that a comparison has kept: those of its first seed.

    Args:
        folder: The run folder.
        policies: Names in its tables, one or two; none: its reference and the best that can be built.
        scenario: Which of its scenarios; None: the first.
        contention: Which of its contentions; None: the hardest.

    Raises:
        MaestroError: There is no such run, or it kept no such episode.
    """
    _refuse_many(policies, none=True)
    comparison = read_run(folder).comparison
    settings = [s for s in comparison.settings if scenario in (None, s.scenario) and contention in (None, s.contention)]
    if not settings:
        there = ", ".join(f"{s.scenario} at {s.contention}" for s in comparison.settings)
        raise MaestroError(f"{folder}: holds no such setting; it has {there}. Name one by --scenario and --contention.")
    setting = hardest(replace(comparison, settings=settings))
    drawn = carried(comparison, setting, len(comparison.policies))
    if not drawn:
        raise MaestroError(f"{folder}: kept no episode of {setting.title}; run the comparison again.")
    by_name = {trace.policy: trace for trace in drawn}
    missing = [name for name in policies if name not in by_name]
    if missing:
        raise MaestroError(f"{folder}: has no episode of {', '.join(missing)}; it has {', '.join(by_name)}.")
    return [by_name[name] for name in policies] or drawn[:MOST_SIDE_BY_SIDE]


def _refuse_many(policies: Sequence[str], *, none: bool = False) -> None:
    if len(policies) > MOST_SIDE_BY_SIDE or (not policies and not none):
        raise MaestroError(f"{len(policies)} policies: a page shows one, or two side by side; name them by --policy.")
    if len(set(policies)) < len(policies):
        raise MaestroError(f"--policy {policies[0]} is named twice; name two policies, or one.")
