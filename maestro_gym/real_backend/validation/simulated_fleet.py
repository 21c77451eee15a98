"""The simulator in place of the servers of a fleet."""

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
    """Runs episodes in the simulator, on the nodes and engines of a fleet file.

    Attributes:
        fleet: The fleet file, which says which engines are on which node.
    """

    fleet: LiveFleetConfig

    def __call__(self, scenario: Scenario, policy: Policy, **settings: Any) -> EpisodeResult:  # noqa: ANN401 - passed on
        """Run one episode, with the arguments and the result of ``episodes.run.run_episode``."""
        world = scenario.world
        scenario.world = fleet_world(world, self.fleet)
        try:
            placement = initial_placement(self.fleet)
            return replace(run_episode(scenario, policy, placement=placement, **settings), world=world)
        finally:
            scenario.world = world
