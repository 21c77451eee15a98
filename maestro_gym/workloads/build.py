"""From a configuration to a workload."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.config import ScenarioConfig, WorkloadConfig, find_config, read_yaml, validated
from maestro_gym.workloads.applications.spec import FamilySpec
from maestro_gym.workloads.arrivals.from_config import build_arrivals
from maestro_gym.workloads.arrivals.processes import ArrivalProcess
from maestro_gym.workloads.deployments import Deployments, make_deployments
from maestro_gym.workloads.family import FamilyWorkload
from maestro_gym.workloads.machines.machine_spec import MachineFamilySpec
from maestro_gym.workloads.mixture import MixtureWorkload, Part
from maestro_gym.workloads.popularity import load_popularity, shares_of
from maestro_gym.workloads.requests import RequestsWorkload
from maestro_gym.workloads.traces.replayed import TraceWorkload
from maestro_gym.workloads.workload import Workload


def load_family(name_or_path: str) -> FamilySpec | MachineFamilySpec:
    """Read a workload family.

    Args:
        name_or_path: A name of ``configs/workloads``, or a YAML file.

    Returns:
        The family.

    Raises:
        MaestroError: There is no such file, a key is unknown or a value bad.
    """
    path = find_config("workloads", name_or_path, "workload.family")
    content = read_yaml(path)
    model = MachineFamilySpec if "machines" in content else FamilySpec
    return validated(model, content, lambda _: str(path))


def deployments_of(config: ScenarioConfig) -> Deployments:
    """Gather the deployments of a scenario.

    Args:
        config: The scenario.

    Returns:
        What a workload must know of them.
    """
    popularity = [deployment.popularity for deployment in config.models]
    if config.workload.popularity is not None:
        popularity = shares_of(load_popularity(config.workload.popularity), len(config.models))
    return make_deployments(
        config.model_names,
        popularity,
        [deployment.size_class for deployment in config.models],
        [config.max_model_len(deployment) for deployment in config.models],
    )


def build_workload(workload: WorkloadConfig, deployments: Deployments, num_clusters: int = 1) -> Workload:
    """Build what a configuration asks for.

    Args:
        workload: The scenario's ``workload`` section.
        deployments: What can be asked for.
        num_clusters: Clusters of the fleet, over which tenants are spread.

    Returns:
        The workload of a family, of several, of a trace or of single requests.

    Raises:
        MaestroError: The family or trace cannot be read or does not fit the deployments.
    """
    arrivals = build_arrivals(workload.arrivals)
    if workload.family is not None:
        return _family(workload.family, None, deployments, num_clusters, arrivals, workload.time_scale)
    if workload.mixture is not None:
        parts = []
        for part in workload.mixture:
            own = arrivals if part.arrivals is None else build_arrivals(part.arrivals)
            made = _family(part.family, part.tenants, deployments, num_clusters, own, workload.time_scale)
            parts.append(Part(made, part.share))
        return MixtureWorkload(parts, num_clusters)
    if workload.requests is not None:
        return RequestsWorkload(workload.requests, deployments, arrivals=arrivals, time_scale=workload.time_scale)
    return TraceWorkload(
        str(workload.trace),
        deployments,
        format_name=workload.format,
        model_map=workload.model_map,
        arrivals=workload.trace_arrivals,
        process=arrivals,
        overlong=workload.overlong,
        num_clusters=num_clusters,
        time_scale=workload.time_scale,
    )


def _family(
    name: str,
    tenants: int | None,
    deployments: Deployments,
    num_clusters: int,
    arrivals: ArrivalProcess,
    time_scale: float,
) -> FamilyWorkload:
    spec = load_family(name)
    if tenants is not None:
        spec = spec.model_copy(update={"tenants": tenants})
    return FamilyWorkload(
        Path(name).stem, spec, deployments, num_clusters=num_clusters, arrivals=arrivals, time_scale=time_scale
    )


def scenario_workload(config: ScenarioConfig) -> Workload:
    """Build the workload of a scenario.

    Args:
        config: The scenario.

    Returns:
        Its workload.

    Raises:
        MaestroError: As ``build_workload``.
    """
    return build_workload(config.workload, deployments_of(config), len(config.fleet.clusters))
