"""How skewed the popularity of models is: shares by rank, fitted to GenTD26.

GenTD26 (alibaba/clusterdata, cluster-trace-v2026-GenAI; Lin et al., SoCC 2025) names the base model of every
request of an image-generation service. Only the skew is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from maestro_gym.config import StrictModel, find_config, read_yaml, validated
from maestro_gym.config.bounds import Weight
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.machines.machine_spec import FittedSpec, FittedTraceSpec
from maestro_gym.workloads.traces.checks import require_columns, text
from maestro_gym.workloads.traces.tables import open_table

COLUMN = "checkpoint_model_version_id"
ORIGIN = "alibaba/clusterdata, cluster-trace-v2026-GenAI (Lin et al., SoCC 2025)"


class PopularitySpec(StrictModel):
    """Shares by rank: the content of one file of configs/popularity."""

    description: str = Field(description="what it models and where its numbers come from")
    fitted: FittedSpec | None = Field(default=None, description="how the file was made; none: written by hand")
    shares: list[Weight] = Field(min_length=1, description="share of the requests, the most popular first")


def load_popularity(name_or_path: str) -> PopularitySpec:
    """Read a popularity file.

    Args:
        name_or_path: A name of configs/popularity, or a YAML file.

    Returns:
        Its content.

    Raises:
        MaestroError: There is no such file, a key is unknown or a value bad.
    """
    path = find_config("popularity", name_or_path, "workload.popularity")
    spec = validated(PopularitySpec, read_yaml(path), lambda _: str(path))
    if min(spec.shares) <= 0 or any(b > a for a, b in zip(spec.shares, spec.shares[1:], strict=False)):
        raise MaestroError(f"{path}: `shares` are above 0 and never rise from rank to rank; sort them.")
    return spec


def shares_of(spec: PopularitySpec, num_models: int) -> list[float]:
    """Give every rank its share.

    Args:
        spec: Shares of the ranks that were seen.
        num_models: Ranks wanted. Ranks beyond those seen go on falling as a power law of the last half does.

    Returns:
        Relative shares, the most popular first.
    """
    seen = np.array(spec.shares)
    if num_models <= len(seen):
        return seen[:num_models].tolist()
    ranks = np.arange(1, len(seen) + 1)
    half = len(seen) // 2
    slope = float(np.polyfit(np.log(ranks[half:]), np.log(seen[half:]), 1)[0]) if len(seen) - half > 1 else -1.0
    beyond = np.arange(len(seen) + 1, num_models + 1)
    return [*seen.tolist(), *(seen[-1] * (beyond / len(seen)) ** min(slope, 0.0)).tolist()]


def fit_popularity(path: Path, *, name: str, date: str, command: str) -> PopularitySpec:
    """Count the shares of models by rank.

    Args:
        path: Requests, as published; column ``checkpoint_model_version_id``.
        name: Of the file.
        date: Of the fit.
        command: What was run.

    Returns:
        What was fitted.

    Raises:
        MaestroError: The file is bad.
    """
    frame = open_table(path)
    require_columns(frame, (COLUMN,), str(path), "GenTD26 requests")
    models = text(frame, COLUMN)
    counts = models[models != ""].value_counts()
    if not len(counts):
        raise MaestroError(f"{path}: no row names a model in `{COLUMN}`; without one there is no popularity.")
    shares = counts.to_numpy() / counts.sum()
    record = FittedTraceSpec(file=path.name, format="gentd26", source=ORIGIN, rows=int(counts.sum()))
    return PopularitySpec(
        description=f"{name}: {len(shares)} models, the first {shares[0]:.1%} of the requests, the first ten "
        f"{shares[:10].sum():.1%}",
        fitted=FittedSpec(date=date, command=command, traces=[record]),
        shares=[float(f"{share:.4g}") for share in shares],
    )
