"""ServeGen's client windows: no requests but laws of many clients, from which requests are drawn.

Source: alibaba/ServeGen (Xiang et al., arXiv 2505.09999): for every client and ten minutes the rate, the coefficient
of variation and the law of the gaps; in a file of lengths beside it, for every client and six hours, quantiles of input
and output tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from maestro_gym.core import hashing
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.arrivals.processes import Client, Clients
from maestro_gym.workloads.importers.azure import DEADLINE_S, TTFT_LIMIT_S
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import numbers, place, require_columns, text
from maestro_gym.workloads.traces.format import ROW, SEEN, Converted, Fields
from maestro_gym.workloads.traces.tables import open_table

COLUMNS = ("client_id", "window_start_s", "rate_req_per_s", "cv", "interarrival_dist")
LENGTH_COLUMNS = tuple(
    f"{side}_tokens_{point}" for side in ("input", "output") for point in ("p50", "p90", "p99", "max")
)
FIELDS: Fields = {
    "arrival_s": ("rate_req_per_s", "cv", "interarrival_dist"),
    "application": ("client_id",),
    "prompt_tokens": LENGTH_COLUMNS[:4],
    "output_tokens": LENGTH_COLUMNS[4:],
}
REQUESTS = 10_000
"""Requests that are drawn, about: production windows hold millions."""

_KEY = -5
_LAWS = ("Gamma", "Weibull")
_WINDOW_S, _LENGTHS_S = 600.0, 21_600.0
_AT = (0.0, 0.5, 0.9, 0.99, 1.0)


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Draw the first requests of the busiest window, by the laws of its clients.

    Clients keep their rates, so that the window is as crowded as it was, and only shorter. Lengths are drawn between
    the quantiles of the client's six hours on straight lines; the draws are the same in every import.

    Args:
        frame: The table of windows, with ``ROW``.
        source: The file; lengths are in the file beside it whose name has ``lengths`` for ``arrivals``.

    Returns:
        Calls in the workflow-trace format; ``model`` is blank.

    Raises:
        MaestroError: A cell is bad, or the lengths are missing.
    """
    lengths = _lengths(source)
    clients, laws = text(frame, "client_id"), text(frame, "interarrival_dist")
    strange = np.flatnonzero(~laws.isin(_LAWS).to_numpy())
    if len(strange):
        where = place(source, int(frame[ROW].iloc[strange[0]]), "interarrival_dist")
        raise MaestroError(f"{where}: {laws.iloc[strange[0]]!r} is no law of gaps; write {' or '.join(_LAWS)}.")
    start_s = numbers(frame, "window_start_s", source, low=0, whole=False)
    rate_rps = numbers(frame, "rate_req_per_s", source, low=1e-9, whole=False, unit="requests a second")
    cv = numbers(frame, "cv", source, low=1e-3, whole=False)
    starts_s, window = np.unique(start_s, return_inverse=True)
    busiest = int(np.argmax(np.bincount(window, rate_rps)))
    busiest_s = float(starts_s[busiest])
    chosen = np.flatnonzero(window == busiest)
    all_known = [
        _Window(int(frame[ROW].iloc[i]), clients.iloc[i], float(rate_rps[i]), float(cv[i]), laws.iloc[i])
        for i in chosen
    ]
    known = [client for client in all_known if (client.name, busiest_s // _LENGTHS_S) in lengths]
    if not known:
        raise MaestroError(f"{source}: no client of the busiest window, at {busiest_s:g} s, has lengths beside it.")
    horizon_s = min(_WINDOW_S, REQUESTS / sum(client.rate_rps for client in known))
    parts = [_requests(client, lengths[client.name, busiest_s // _LENGTHS_S], horizon_s) for client in known]
    table = pd.concat(parts, ignore_index=True).sort_values("arrival_s", kind="stable").reset_index(drop=True)
    if not len(table):
        raise MaestroError(f"{source}: its busiest window is too quiet for a single request.")
    output = table["output_tokens"].to_numpy(np.float64)
    table = table.assign(
        workflow_id=[str(i) for i in range(len(table))],
        max_output_tokens=client_limit(output),
        **{"class": "interactive", "deadline_s": DEADLINE_S, "ttft_limit_s": TTFT_LIMIT_S},
    )
    left = len(chosen) - len(known)
    notes = (
        f"requests are drawn from the laws of {len(known)} clients: the first {horizon_s:.4g} s of the busiest window, "
        f"which begins at {busiest_s:g} s",
        "lengths are drawn between the quantiles of a client's six hours",
        *((f"{left} clients of that window have no lengths and are left out",) if left else ()),
    )
    return Converted(table, notes)


def _lengths(source: str) -> dict[tuple[str, float], dict[str, float]]:
    """Quantiles of lengths by client and six hours."""
    path = Path(source)
    beside = path.with_name(path.name.replace("arrivals", "lengths"))
    if beside == path or not beside.is_file():
        raise MaestroError(
            f"{source}: holds ServeGen's arrivals; their lengths are read from a file beside it whose name has "
            "`lengths` for `arrivals`. Put it there, or fit arrivals alone: maestro-gym workload fit --kind arrivals."
        )
    frame = open_table(beside)
    require_columns(frame, ["client_id", "window_start_s", *LENGTH_COLUMNS], str(beside), "ServeGen lengths")
    is_filled = (text(frame, "input_tokens_p50") != "") & (text(frame, "output_tokens_p50") != "")
    filled = frame.iloc[np.flatnonzero(is_filled.to_numpy())]
    columns = {name: numbers(filled, name, str(beside), low=0, whole=False) for name in LENGTH_COLUMNS}
    start_s = numbers(filled, "window_start_s", str(beside), low=0, whole=False)
    return {
        (client, start_s[i] // _LENGTHS_S): {name: float(values[i]) for name, values in columns.items()}
        for i, client in enumerate(text(filled, "client_id"))
    }


class _Window(NamedTuple):
    """One client in one window."""

    row: int
    name: str
    rate_rps: float
    cv: float
    law: str


def _requests(window: _Window, quantiles: dict[str, float], horizon_s: float) -> pd.DataFrame:
    """Draw the requests of one client."""
    key = int(hashing.mix(_KEY, hashing.ARRIVAL_CLIENT, window.row))
    client = Client(1.0, window.cv, "gamma" if window.law == "Gamma" else "weibull")
    times_s = Clients((client,)).times_s(key, window.rate_rps, horizon_s)
    tokens = {}
    for side, purpose in (("input", hashing.INPUT_TOKENS), ("output", hashing.OUTPUT_TOKENS)):
        draws = [hashing.uniform(key, purpose, i) for i in range(len(times_s))]
        points = np.maximum.accumulate([1.0, *(quantiles[f"{side}_tokens_{p}"] for p in ("p50", "p90", "p99", "max"))])
        tokens[side] = np.maximum(np.round(np.interp(draws, _AT, points)), 1.0)
    seen = {
        "client_id": window.name,
        "rate_req_per_s": window.rate_rps,
        "cv": window.cv,
        "interarrival_dist": window.law,
    }
    return pd.DataFrame(
        {
            ROW: window.row,
            SEEN: [{**seen, **quantiles}] * len(times_s),
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": times_s,
            "application": f"servegen_client_{window.name}",
            "role": "assistant",
            "model": "",
            "prompt_tokens": tokens["input"],
            "output_tokens": tokens["output"],
            "tool_gap_s": 0.0,
        }
    )
