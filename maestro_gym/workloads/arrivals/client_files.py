# pandas calls every column a Series or a DataFrame, every group key a date: its own types are of no help here.
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false
"""Arrival files of configs/arrivals: clients and a profile of the day, fitted to ServeGen's windows.

ServeGen (Xiang et al., arXiv 2505.09999) describes production traffic as many clients, each with a rate that
changes and gaps of a gamma or Weibull law, fitted in windows of ten minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from maestro_gym.config import StrictModel, find_config, read_yaml, validated
from maestro_gym.config.bounds import Weight
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.machines.machine_spec import FittedSpec, FittedTraceSpec
from maestro_gym.workloads.traces.checks import numbers, place, require_columns, text
from maestro_gym.workloads.traces.format import ROW
from maestro_gym.workloads.traces.tables import open_table

COLUMNS = ("client_id", "window_start_s", "rate_req_per_s", "cv", "interarrival_dist")
ORIGIN = "alibaba/ServeGen (Xiang et al., arXiv 2505.09999)"
DAY_S, PARTS = 86400.0, 24
_LAWS = ("Gamma", "Weibull")


class ClientSpec(StrictModel):
    """One client."""

    share: float = Field(gt=0, le=1e12, description="share of the arrivals, relative to the others")
    cv: float = Field(ge=0.01, le=1000, description="coefficient of variation of its gaps")
    gaps: Literal["gamma", "weibull"] = Field(default="gamma", description="law of its gaps")


class ArrivalFileSpec(StrictModel):
    """Clients and their day: the content of one file of configs/arrivals."""

    description: str = Field(description="what it models and where its numbers come from")
    fitted: FittedSpec | None = Field(default=None, description="how the file was made; none: written by hand")
    clients: list[ClientSpec] = Field(min_length=1, description="the clients, the largest first")
    profile: list[Weight] = Field(default=[1.0], min_length=1, description="relative rates of equal parts of the day")


def load_arrivals(name_or_path: str, place: str) -> ArrivalFileSpec:
    """Read an arrival file.

    Args:
        name_or_path: A name of configs/arrivals, or a YAML file.
        place: Where the name was written, for the error.

    Returns:
        Its content.

    Raises:
        MaestroError: There is no such file, a key is unknown or a value bad.
    """
    path = find_config("arrivals", name_or_path, place)
    return validated(ArrivalFileSpec, read_yaml(path), lambda _: str(path))


def fit_arrivals(paths: Sequence[Path], *, name: str, date: str, command: str) -> ArrivalFileSpec:
    """Fit clients and their day to ServeGen's windows.

    A client's share is its part of all requests; its CV and its law of gaps are those of the median request.
    The profile is the mean rate by hour of the day, over all clients and days.

    Args:
        paths: Arrival windows, as published; columns ``COLUMNS``.
        name: Of the file.
        date: Of the fit.
        command: What was run.

    Returns:
        What was fitted.

    Raises:
        MaestroError: A file is bad.
    """
    frames = [_read(path) for path in paths]
    windows = pd.concat(frames, ignore_index=True)
    windows["requests"] = windows["rate_rps"]
    total = windows["requests"].sum()
    clients = []
    for _, mine in windows.groupby("client", sort=False):
        ordered = mine.sort_values("cv")
        middle = ordered["requests"].cumsum().searchsorted(ordered["requests"].sum() / 2)
        law = mine.groupby("law")["requests"].sum().idxmax()
        clients.append(
            ClientSpec(
                share=float(f"{mine['requests'].sum() / total:.4g}"),
                cv=float(f"{ordered['cv'].iloc[min(int(middle), len(ordered) - 1)]:.4g}"),
                gaps="gamma" if law == "Gamma" else "weibull",
            )
        )
    clients.sort(key=lambda client: -client.share)
    by_window = windows.groupby("start_s")["requests"].sum()
    hours = (by_window.index.to_numpy() % DAY_S // (DAY_S / PARTS)).astype(int)
    means = np.array([by_window[hours == hour].mean() if (hours == hour).any() else np.nan for hour in range(PARTS)])
    means = np.where(np.isnan(means), np.nanmean(means), means)
    records = [
        FittedTraceSpec(file=path.name, format="servegen", source=ORIGIN, rows=len(frame))
        for path, frame in zip(paths, frames, strict=True)
    ]
    return ArrivalFileSpec(
        description=f"{name}: {len(clients)} clients and their day, fitted to ServeGen's ten-minute windows",
        fitted=FittedSpec(date=date, command=command, traces=records),
        clients=clients,
        profile=[float(f"{value:.4g}") for value in means / means.mean()],
    )


def _read(path: Path) -> pd.DataFrame:
    source = str(path)
    frame = open_table(path)
    require_columns(frame, COLUMNS, source, "ServeGen arrivals")
    if len(frame) == 0:
        raise MaestroError(f"{source}: holds no windows; give at least one row after the header.")
    law = text(frame, "interarrival_dist")
    strange = np.flatnonzero(~law.isin(_LAWS).to_numpy())
    if len(strange):
        where = place(source, int(frame[ROW].iloc[strange[0]]), "interarrival_dist")
        raise MaestroError(f"{where}: {law.iloc[strange[0]]!r} is no law of gaps; write {' or '.join(_LAWS)}.")
    return pd.DataFrame(
        {
            "client": path.stem + "/" + text(frame, "client_id"),
            "start_s": numbers(frame, "window_start_s", source, low=0, whole=False),
            "rate_rps": numbers(frame, "rate_req_per_s", source, low=1e-9, whole=False),
            "cv": numbers(frame, "cv", source, low=1e-3, whole=False),
            "law": law,
        }
    )
