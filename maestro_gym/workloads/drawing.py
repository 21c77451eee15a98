"""The two ways to draw workflows: stage graphs with steps, and state machines."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from maestro_gym.state import STAGE, STAGE_HIDDEN, WORKFLOW
from maestro_gym.state.allocate import by_name
from maestro_gym.workloads.applications.generator import count_bound, generate
from maestro_gym.workloads.applications.spec import FamilySpec
from maestro_gym.workloads.applications.tables import compile_family, cumulative
from maestro_gym.workloads.deployments import Deployments
from maestro_gym.workloads.machines.machine_generator import draw_calls, generate_machines
from maestro_gym.workloads.machines.machine_spec import MachineFamilySpec
from maestro_gym.workloads.machines.machine_tables import compile_machines

_SAMPLE_WORKFLOWS, _SAMPLE_STAGES = 40_000, 120_000


class Drawn(NamedTuple):
    """Workflows as drawn, before their graph is linked. W workflows, S stages, E edges, M models."""

    workflows: np.ndarray  # WORKFLOW (W,)
    stages: np.ndarray  # STAGE (S,)
    hidden: np.ndarray  # STAGE_HIDDEN (S,)
    parent_start: np.ndarray  # int64 (S + 1,)
    parents: np.ndarray  # int64 (E,)
    shortened: np.ndarray  # int64 (M,): calls whose prompt did not fit; zero where nobody counts


class WorkflowSampler(Protocol):
    """A compiled family that draws workflows.

    Attributes:
        application_names: By ``workflows.application``.
        role_names: "application.role", by ``stages.role``.
        role_sizes: int64, shape (num_roles,): index into ``SIZE_CLASSES``.
        sample_workflows: How many make good statistics.
    """

    application_names: tuple[str, ...]
    role_names: tuple[str, ...]
    role_sizes: np.ndarray
    sample_workflows: int

    def draw(
        self,
        key: int,
        arrivals_s: np.ndarray,
        choice: np.ndarray,
        deployments: Deployments,
        num_clusters: int,
        time_scale: float,
    ) -> Drawn:
        """Draw workflows.

        Args:
            key: The episode's key.
            arrivals_s: float64, shape (num_workflows,), ascending.
            choice: float64, shape (sizes, num_models): how roles of each size choose a deployment.
            deployments: What can be asked for.
            num_clusters: Tenants are spread over so many ingress clusters.
            time_scale: Multiplies deadlines, TTFT limits and gaps.

        Returns:
            The workflows.
        """
        ...


class StepSampler:
    """Draws the applications of a family of stage graphs."""

    def __init__(self, spec: FamilySpec) -> None:
        """Compile a family.

        Args:
            spec: Its content.
        """
        self._tables = compile_family(spec)
        self.application_names = self._tables.application_names
        self.role_names = self._tables.role_names
        self.role_sizes = self._tables.roles["size_class"]
        self.sample_workflows = _SAMPLE_WORKFLOWS

    def draw(
        self,
        key: int,
        arrivals_s: np.ndarray,
        choice: np.ndarray,
        deployments: Deployments,
        num_clusters: int,
        time_scale: float,
    ) -> Drawn:
        """Draw workflows; see ``WorkflowSampler.draw``."""
        tables = self._tables
        most_stages, most_edges = count_bound(
            key, len(arrivals_s), by_name(tables.applications), tables.application_cdf
        )
        made = _room(len(arrivals_s), most_stages, most_edges, len(deployments.names))
        count = generate(
            key,
            arrivals_s,
            by_name(tables.applications),
            by_name(tables.roles),
            by_name(tables.program),
            tables.application_cdf,
            tables.tenant_cdf,
            cumulative(choice),
            deployments.max_model_len,
            tables.num_sys_groups,
            num_clusters,
            time_scale,
            by_name(made.workflows),
            by_name(made.stages),
            by_name(made.hidden),
            made.parent_start,
            made.parents,
        )
        return made._replace(
            stages=made.stages[:count].copy(),
            hidden=made.hidden[:count].copy(),
            parent_start=made.parent_start[: count + 1],
        )


class MachineSampler:
    """Draws the walks of a family of state machines."""

    def __init__(self, spec: MachineFamilySpec) -> None:
        """Compile a family.

        Args:
            spec: Its content.
        """
        self._tables = compile_machines(spec)
        self.application_names = self._tables.application_names
        self.role_names = self._tables.role_names
        self.role_sizes = self._tables.roles["size_class"]
        _, calls = self._calls(0, 1000)
        self.sample_workflows = int(np.clip(_SAMPLE_STAGES / calls.mean(), 2000, _SAMPLE_WORKFLOWS))

    def _calls(self, key: int, num_workflows: int) -> tuple[np.ndarray, np.ndarray]:
        tables = self._tables
        return draw_calls(key, num_workflows, tables.application_cdf, by_name(tables.machines), tables.calls_cdf)

    def draw(
        self,
        key: int,
        arrivals_s: np.ndarray,
        choice: np.ndarray,
        deployments: Deployments,
        num_clusters: int,
        time_scale: float,
    ) -> Drawn:
        """Draw workflows; see ``WorkflowSampler.draw``."""
        tables = self._tables
        applications, calls = self._calls(key, len(arrivals_s))
        total = int(calls.sum())
        made = _room(len(arrivals_s), total, total, len(deployments.names))
        generate_machines(
            key,
            arrivals_s,
            applications,
            calls,
            by_name(tables.machines),
            by_name(tables.states),
            by_name(tables.roles),
            tables.transition,
            tables.onward,
            np.ascontiguousarray(tables.states["start"]),
            by_name(tables.laws),
            tables.levels,
            tables.values,
            tables.tenant_cdf,
            cumulative(choice),
            deployments.max_model_len,
            tables.num_sys_groups,
            tables.num_threads,
            num_clusters,
            time_scale,
            by_name(made.workflows),
            by_name(made.stages),
            by_name(made.hidden),
            made.parent_start,
            made.parents,
            made.shortened,
        )
        return made


def _room(num_workflows: int, num_stages: int, num_edges: int, num_models: int) -> Drawn:
    return Drawn(
        np.zeros(num_workflows, WORKFLOW),
        np.zeros(num_stages, STAGE),
        np.zeros(num_stages, STAGE_HIDDEN),
        np.zeros(num_stages + 1, np.int64),
        np.empty(num_edges, np.int64),
        np.zeros(num_models, np.int64),
    )
