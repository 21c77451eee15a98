"""A workload family: applications with laws, drawn afresh for every episode."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from maestro_gym.state import Episode
from maestro_gym.workloads.applications.spec import SIZE_CLASSES, FamilySpec
from maestro_gym.workloads.arrivals.processes import POISSON, ArrivalProcess
from maestro_gym.workloads.deployments import Deployments, match_popularity
from maestro_gym.workloads.drawing import Drawn, MachineSampler, StepSampler, WorkflowSampler
from maestro_gym.workloads.graph import assemble
from maestro_gym.workloads.machines.machine_spec import MachineFamilySpec
from maestro_gym.workloads.records import unit_service
from maestro_gym.workloads.workload import Mix, mix_of

# Keys of samples for statistics; negative, so that no episode has them.
_SHAPE_KEY, _MIX_KEY, _HISTORY_KEY = -1, -2, -3


class FamilyWorkload:
    """Episodes of a workload family.

    Attributes:
        name: The family's name.
        application_names: Names, by ``workflows.application``.
        role_names: "application.role", by ``stages.role``.
        tenant_names: Names, by ``workflows.tenant``.
        choice: float64, shape (sizes, num_models): how roles of each size choose a deployment.
    """

    def __init__(
        self,
        name: str,
        spec: FamilySpec | MachineFamilySpec,
        deployments: Deployments,
        *,
        num_clusters: int = 1,
        arrivals: ArrivalProcess = POISSON,
        time_scale: float = 1.0,
    ) -> None:
        """Prepare a family for a set of deployments.

        Args:
            name: The family's name.
            spec: Its content.
            deployments: What can be asked for.
            num_clusters: Tenants are spread over so many ingress clusters.
            arrivals: The process by which workflows arrive.
            time_scale: Multiplies deadlines, TTFT limits and tool gaps.
        """
        self.name = name
        self._sampler: WorkflowSampler = StepSampler(spec) if isinstance(spec, FamilySpec) else MachineSampler(spec)
        self._deployments = deployments
        self._num_clusters = num_clusters
        self._arrivals = arrivals
        self._time_scale = time_scale
        self.application_names = self._sampler.application_names
        self.role_names = self._sampler.role_names
        self.tenant_names = tuple(f"tenant-{i}" for i in range(spec.tenants))
        num_models = len(deployments.names)
        self.choice = np.full((len(SIZE_CLASSES), num_models), 1.0 / num_models)
        shape = self._draw(_SHAPE_KEY, np.zeros(self._sampler.sample_workflows))
        sizes = self._sampler.role_sizes[shape.stages["role"]]
        shares = np.bincount(sizes, minlength=len(SIZE_CLASSES)) / len(sizes)
        self.choice = match_popularity(shares, deployments, spec.size_decay)

    def episode(
        self, key: int, rate_rps: float, horizon_s: float, service: np.ndarray, split: str = "train"
    ) -> Episode:
        """Make one episode; see ``Workload.episode``. The key alone keeps the splits apart."""
        del split
        return self.at_times(key, self._arrivals.times_s(key, rate_rps, horizon_s), service)

    def at_times(self, key: int, arrivals_s: np.ndarray, service: np.ndarray) -> Episode:
        """Make an episode of workflows that arrive at given times.

        Args:
            key: Of ``episode_key``.
            arrivals_s: float64, shape (num_workflows,), ascending.
            service: SERVICE, shape (num_models,).

        Returns:
            The episode.
        """
        drawn = self._draw(key, arrivals_s)
        return assemble(drawn.workflows, drawn.stages, drawn.hidden, drawn.parent_start, drawn.parents, service)

    def mix(self) -> Mix:
        """Return the statistics of a sample of a fixed key: 40,000 workflows, fewer where they are long."""
        return self._sample[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what share of the calls a deployment's context is too short for, if any."""
        return self._sample[1]

    def history(self, num_workflows: int, service: np.ndarray) -> Episode:
        """Return past workflows; see ``Workload.history``."""
        return self.at_times(_HISTORY_KEY, np.zeros(num_workflows), service)

    @cached_property
    def _sample(self) -> tuple[Mix, tuple[str, ...]]:
        drawn = self._draw(_MIX_KEY, np.zeros(self._sampler.sample_workflows))
        num_models = len(self._deployments.names)
        edges = (drawn.parent_start, drawn.parents)
        sample = assemble(drawn.workflows, drawn.stages, drawn.hidden, *edges, unit_service(num_models))
        notes = ()
        if drawn.shortened.any():
            counts = np.bincount(drawn.stages["model"], minlength=num_models)
            shares = drawn.shortened / np.maximum(counts, 1)
            worst = int(np.argmax(shares))
            notes = (
                f"{self.name}: {drawn.shortened.sum() / len(drawn.stages):.1%} of the calls outgrow the max_model_len "
                f"of their deployment and are compacted or cut (of {self._deployments.names[worst]}, "
                f"{self._deployments.max_model_len[worst]} tokens, {shares[worst]:.0%}).",
            )
        return mix_of(sample, num_models), notes

    def _draw(self, key: int, arrivals_s: np.ndarray) -> Drawn:
        return self._sampler.draw(key, arrivals_s, self.choice, self._deployments, self._num_clusters, self._time_scale)
