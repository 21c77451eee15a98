"""The simulator in the place of a fleet's servers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.fleet.as_world import fleet_world, initial_placement
from maestro_gym.scheduling.policy import Policy


@dataclass(frozen=True, eq=False)
class SimulatedFleet:
    """Runs episodes in the simulator, on the fleet as its file says.

    Attributes:
        fleet: Which engines are where.
    """

    fleet: LiveFleetConfig

    def __call__(self, scenario: Scenario, policy: Policy, **settings: Any) -> EpisodeResult:  # noqa: ANN401 - passed on
        """Run one episode; arguments and result as of ``baselines.driver.run_episode``."""
        world = scenario.world
        scenario.world = fleet_world(world, self.fleet)
        try:
            placement = initial_placement(self.fleet)
            return replace(run_episode(scenario, policy, placement=placement, **settings), world=world)
        finally:
            scenario.world = world
