"""A workload family: applications with laws, drawn afresh for every episode."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from maestro_gym.schema import STAGE, STAGE_HIDDEN, WORKFLOW, Episode
from maestro_gym.workloads.arrivals import renewal_times_s
from maestro_gym.workloads.deployments import Deployments, match_popularity
from maestro_gym.workloads.generator import count_bound, generate
from maestro_gym.workloads.graph import assemble
from maestro_gym.workloads.records import by_name, unit_service
from maestro_gym.workloads.spec import SIZE_CLASSES, FamilySpec
from maestro_gym.workloads.tables import compile_family, cumulative
from maestro_gym.workloads.workload import Mix, mix_of

# Keys of samples for statistics; negative, so that no episode has them.
_SHAPE_KEY, _MIX_KEY, _HISTORY_KEY = -1, -2, -3
_SHAPE_WORKFLOWS, _MIX_WORKFLOWS = 40_000, 40_000


class FamilyWorkload:
    """Episodes of a workload family.

    Attributes:
        name: the family's name.
        application_names: names, by ``workflows.application``.
        role_names: "application.role", by ``stages.role``.
        tenant_names: names, by ``workflows.tenant``.
        notes: empty; a trace says here what it left out.
        choice: float64, shape (sizes, num_models): how roles of each size choose a deployment.
    """

    def __init__(
        self,
        name: str,
        spec: FamilySpec,
        deployments: Deployments,
        *,
        num_clusters: int = 1,
        cv: float = 1.0,
        time_scale: float = 1.0,
    ) -> None:
        """Prepare a family for a set of deployments.

        Args:
            name: the family's name.
            spec: its content.
            deployments: what can be asked for.
            num_clusters: tenants are spread over so many ingress clusters.
            cv: coefficient of variation of the arrival gaps; 1 is Poisson.
            time_scale: multiplies deadlines, TTFT limits and tool gaps.
        """
        self.name = name
        self.notes: tuple[str, ...] = ()
        self._tables = compile_family(spec)
        self._deployments = deployments
        self._num_clusters = num_clusters
        self._cv = cv
        self._time_scale = time_scale
        self.application_names = self._tables.application_names
        self.role_names = self._tables.role_names
        self.tenant_names = tuple(f"tenant-{i}" for i in range(spec.tenants))
        self.choice = np.full((len(SIZE_CLASSES), len(deployments.names)), 1.0 / len(deployments.names))
        shape = self._make(_SHAPE_KEY, np.zeros(_SHAPE_WORKFLOWS), unit_service(len(deployments.names)))
        sizes = self._tables.roles["size_class"][shape.stages["role"]]
        shares = np.bincount(sizes, minlength=len(SIZE_CLASSES)) / len(sizes)
        self.choice = match_popularity(shares, deployments, spec.size_decay)

    def episode(
        self, key: int, rate_rps: float, horizon_s: float, service: np.ndarray, split: str = "train"
    ) -> Episode:
        """Make one episode; see ``Workload.episode``. The key alone keeps the splits apart."""
        del split
        return self._make(key, renewal_times_s(key, rate_rps, horizon_s, self._cv), service)

    def mix(self) -> Mix:
        """Return the statistics of 40,000 workflows of a fixed key."""
        return self._mix

    def history(self, num_workflows: int, service: np.ndarray) -> Episode:
        """Return past workflows; see ``Workload.history``."""
        return self._make(_HISTORY_KEY, np.zeros(num_workflows), service)

    @cached_property
    def _mix(self) -> Mix:
        num_models = len(self._deployments.names)
        sample = self._make(_MIX_KEY, np.zeros(_MIX_WORKFLOWS), unit_service(num_models))
        return mix_of(sample, num_models)

    def _make(self, key: int, arrivals_s: np.ndarray, service: np.ndarray) -> Episode:
        tables = self._tables
        most_stages, most_edges = count_bound(
            key, len(arrivals_s), by_name(tables.applications), tables.application_cdf
        )
        workflows = np.zeros(len(arrivals_s), WORKFLOW)
        stages = np.zeros(most_stages, STAGE)
        hidden = np.zeros(most_stages, STAGE_HIDDEN)
        parent_start = np.zeros(most_stages + 1, np.int64)
        parents = np.empty(most_edges, np.int64)
        count = generate(
            key,
            arrivals_s,
            by_name(tables.applications),
            by_name(tables.roles),
            by_name(tables.program),
            tables.application_cdf,
            tables.tenant_cdf,
            cumulative(self.choice),
            self._deployments.max_model_len,
            tables.num_sys_groups,
            self._num_clusters,
            self._time_scale,
            by_name(workflows),
            by_name(stages),
            by_name(hidden),
            parent_start,
            parents,
        )
        return assemble(
            workflows, stages[:count].copy(), hidden[:count].copy(), parent_start[: count + 1], parents, service
        )
