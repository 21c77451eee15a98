"""From the ``scenario`` argument of an environment to a scenario, one a process for each name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from maestro_gym.baselines import load_policy
from maestro_gym.config import ScenarioConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy

ScenarioLike = str | Scenario | ScenarioConfig
"""What environments take as their scenario: a name, a path, a configuration or the scenario itself."""


@lru_cache(maxsize=32)
def _by_name(name_or_path: str, overrides: tuple[str, ...]) -> Scenario:
    return Scenario.load(name_or_path, overrides)


def scenario_of(source: ScenarioLike, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario of an environment.

    Args:
        source: Name, path, configuration or scenario.
        overrides: ``a.b.c=value``, for a name or path.

    Returns:
        The scenario; the same object for the same name and overrides.

    Raises:
        MaestroError: The scenario is wrong, or overrides come with a composed one.
    """
    if isinstance(source, str):
        return _by_name(source, tuple(overrides))
    if overrides:
        raise MaestroError(
            "overrides go with a scenario's name or path; a Scenario or ScenarioConfig is taken as it is. "
            "Apply them in load_scenario(name, overrides)."
        )
    return source if isinstance(source, Scenario) else Scenario(source)


_policies: dict[tuple[str, str], Policy] = {}


def companions_of(spec: str | Policy, scenario: Scenario) -> Policy:
    """The policy of the tiers that the agent does not drive.

    Args:
        spec: A policy, or what ``load_policy`` takes.
        scenario: Chooses the frozen scales of Maestro's fitness.

    Returns:
        The policy; its rules compile once a process.
    """
    if isinstance(spec, Policy):
        return spec
    wanted = (spec, scenario.config.name)
    if wanted not in _policies:
        _policies[wanted] = load_policy(spec, scenario)
    return _policies[wanted]
