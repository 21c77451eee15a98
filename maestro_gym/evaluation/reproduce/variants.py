"""Workloads and fleets of the sweeps: files beside the results, made from those of configs/ by one change each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from maestro_gym.config import find_config, read_yaml
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole

FAMILY, FLEET = "maestro", "quick"
MODELS = 19
"""Deployments of the scenario `quick`."""


def slo_tightness(factor: float, folder: Path) -> str:
    """The family with all deadlines and TTFT limits times a factor; tool gaps stay.

    Args:
        factor: Above 0; below 1 is tighter.
        folder: Where the file is written.

    Returns:
        The override that takes it.
    """
    family = _family()
    for application in family["applications"].values():
        for limit in ("deadline_s", "ttft_limit_s"):
            application[limit] *= factor
    return f"workload.family={_written(family, folder / f'slo-{factor:g}.yaml')}"


def interactive_share(share: float, folder: Path) -> str:
    """The family with another share of interactive workflows; applications of a class keep their proportions.

    Args:
        share: Above 0 and below 1.
        folder: Where the file is written.

    Returns:
        The override that takes it.
    """
    family = _family()
    wanted = {"interactive": share, "batch": 1.0 - share}
    for name, part in wanted.items():
        own = [application for application in family["applications"].values() if application["class"] == name]
        whole = sum(application["share"] for application in own)
        for application in own:
            application["share"] *= part / whole
    return f"workload.family={_written(family, folder / f'interactive-{share:g}.yaml')}"


def popularity_skew(exponent: float, folder: Path) -> str:
    """Popularity of the deployments by rank, as Zipf's law has it.

    Args:
        exponent: 0 makes all models alike.
        folder: Where the file is written.

    Returns:
        The override that takes it.
    """
    shares = [float(rank**-exponent) for rank in range(1, MODELS + 1)]
    content = {"description": f"share of rank r proportional to r^-{exponent:g}", "shares": shares}
    return f"workload.popularity={_written(content, folder / f'popularity-{exponent:g}.yaml')}"


def clusters(count: int, folder: Path) -> str:
    """The nodes of the fleet dealt to another number of clusters, with the same links.

    Args:
        count: Of clusters, a divisor of the number of nodes.
        folder: Where the file is written.

    Returns:
        The override that takes it.

    Raises:
        MaestroError: The nodes cannot be dealt evenly.
    """
    fleet = read_yaml(find_config("fleets", FLEET, "fleet"))
    groups = [group for cluster in fleet["clusters"] for group in cluster["hosts"]]
    nodes = sum(group["count"] * group["nodes"] for group in groups)
    if nodes % count:
        raise MaestroError(f"clusters: {nodes} nodes cannot be dealt to {count} clusters; give a divisor.")
    each, host = nodes // count, groups[0]["nodes"]
    hosts = {"count": max(1, each // host), "nodes": min(each, host)}
    fleet["clusters"] = [{"name": f"c{number}", "hosts": [groups[0] | hosts]} for number in range(count)]
    return f"fleet={_written(fleet, folder / f'clusters-{count}.yaml')}"


def _family() -> dict[str, Any]:
    return read_yaml(find_config("workloads", FAMILY, "workload.family"))


def _written(content: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump(content, sort_keys=False))
    return path.resolve()
