"""A scenario ready to run: its world, its workload and its rate, and the episodes they make."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from typing import Any, Self

from maestro_gym.config import ScenarioConfig, compose_scenario, load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.capacity import capacity_rps
from maestro_gym.episodes.outages import outages_of, planned_outages
from maestro_gym.episodes.world import build_world, world_names
from maestro_gym.predictors import Predictor, build_predictor, history_workflows, record
from maestro_gym.state import Episode
from maestro_gym.workloads import episode_key, scenario_workload

MOST_CALLS = 5_000_000
"""Most calls that an episode may have on average: some gigabytes of state."""

_CACHED_EPISODES = 8


class Scenario:
    """Fleet, workload and rate of one scenario.

    Attributes:
        config: The complete configuration.
        workload: Maker of episodes.
        predictor: What annotates the episodes, frozen.
        world: Fleet and step tables; a model's popularity is its share of the workload's stages.
        capacity_rps: lambda*, workflows a second (docs/physics.md, "Offered load").
        knee_rps: Rate at which the backlog of a reference policy stops draining; None where it was not measured.
        rate_rps: Workflows that arrive a second: load times capacity, unless the configuration sets it.
        model_names: Deployments, by id.
        node_names: ``cluster/host.node``, by id.
        cluster_names: By id.
        host_names: By id.
    """

    def __init__(self, config: ScenarioConfig) -> None:
        """Compose a scenario.

        Args:
            config: From ``load_scenario``.

        Raises:
            MaestroError: The workload does not fit the scenario.
        """
        self.config = config
        names = world_names(config)
        self.model_names = names.models
        self.node_names = names.nodes
        self.host_names = names.hosts
        self.cluster_names = names.clusters
        self.workload = scenario_workload(config)
        mix = self.workload.mix()
        self.world = build_world(config, mix.model_share, self.workload.tenant_names, self.workload.role_names)
        self._planned = planned_outages(config.fleet, self.world, names)
        self.capacity_rps = capacity_rps(
            config, mix.model_share, mix.prompt_tokens, mix.output_tokens, mix.calls_per_workflow
        )
        knee = config.workload.knee
        self.knee_rps = None if knee is None else knee.load * self.capacity_rps
        load = config.workload.load
        fixed_rps = config.workload.rate_rps
        # The configuration guarantees a load; the fixed rate goes before it.
        self.rate_rps = fixed_rps if fixed_rps is not None else float(load or 0.0) * self.capacity_rps
        self._refuse_too_many(mix.calls_per_workflow)
        self.predictor = self._build_predictor(mix.calls_per_workflow)
        self._episodes: OrderedDict[tuple[str, int, int], Episode] = OrderedDict()

    @classmethod
    def load(cls, name_or_path: str, overrides: Sequence[str] = ()) -> Self:
        """Read and compose a scenario.

        Args:
            name_or_path: A name of ``configs/scenarios``, or a YAML file.
            overrides: ``a.b.c=value``.

        Returns:
            The scenario.
        """
        return cls(load_scenario(name_or_path, overrides))

    def episode(self, split: str, seed: int, index: int, *, may_be_empty: bool = False) -> Episode:
        """Make an episode, with predictions.

        Args:
            split: ``train``, ``validation`` or ``test``.
            seed: Seed of the environment.
            index: Number of the episode in that environment.
            may_be_empty: Whether chance may leave it without a workflow, as in a long training; nothing can be measured
                in such an episode.

        Returns:
            The episode; the last few are kept, so asking again is free. Not to be written to.

        Raises:
            MaestroError: No workflow arrives in it.
        """
        episode = self._kept_episode((split, int(seed), int(index)))
        if not len(episode.workflows) and not may_be_empty:
            raise MaestroError(
                f"Scenario `{self.config.name}`: no workflow arrives in the {split} episode of seed {seed}, number "
                f"{index}: {self.rate_rps:.3g} a second for {self.config.horizon_s:g} s. Lengthen horizon_s, or raise "
                "workload.load or workload.rate_rps."
            )
        return episode

    def _kept_episode(self, wanted: tuple[str, int, int]) -> Episode:
        if wanted in self._episodes:
            self._episodes.move_to_end(wanted)
            return self._episodes[wanted]
        key = episode_key(*wanted)
        bare = self.workload.episode(key, self.rate_rps, self.config.horizon_s, self.world.service, wanted[0])
        outages = outages_of(self.config.fleet, self.world, self._planned, key)
        episode = self.annotate(bare, key)._replace(outages=outages)
        self._episodes[wanted] = episode
        if len(self._episodes) > _CACHED_EPISODES:
            self._episodes.popitem(last=False)
        return episode

    def under(self, overrides: Sequence[str]) -> Self:
        """The same episodes at the same rate, on engines with other limits.

        Offered load is relative to a capacity that the limits would change, so the rate is held.

        Args:
            overrides: ``limits.field=value``.

        Returns:
            The scenario with another configuration and world.

        Raises:
            MaestroError: There is no such limit, or its value is bad.
        """
        other = copy(self)
        fixed = f"workload.rate_rps={self.rate_rps!r}"
        other.config = compose_scenario(self.config.model_dump(mode="json"), self.config.name, (*overrides, fixed))
        other.world = build_world(
            other.config, self.workload.mix().model_share, self.workload.tenant_names, self.workload.role_names
        )
        return other

    def annotate(self, bare: Episode, key: int = 0) -> Episode:
        """Write what is predicted into an episode.

        Args:
            bare: An episode of this scenario's deployments.
            key: Of the episode; random predictors hash it.

        Returns:
            The episode with predictions.
        """
        return record(bare, self.world.service, self.predictor.guess(bare, self.world.service, key))

    def _refuse_too_many(self, calls_per_workflow: float) -> None:
        workload, horizon_s = self.config.workload, self.config.horizon_s
        calls = self.rate_rps * horizon_s * calls_per_workflow
        if workload.trace_arrivals != "own" and calls > MOST_CALLS:
            raise MaestroError(
                f"Scenario `{self.config.name}`: {self.rate_rps:.3g} workflows a second for horizon_s={horizon_s:g} "
                f"make {calls:.2g} calls an episode, and {MOST_CALLS:,} is the most. Shorten horizon_s, or lower "
                "workload.load or workload.rate_rps."
            )

    def _build_predictor(self, calls_per_workflow: float) -> Predictor:
        spec, service = self.config.predictor, self.world.service
        count = history_workflows(spec, calls_per_workflow)
        return build_predictor(spec, service, self.workload.history(count, service) if count else None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the kept episodes behind: another process makes its own."""
        return {**self.__dict__, "_episodes": OrderedDict()}
