"""How metrics are shown to people: headings, scales, decimals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from maestro_gym.episodes.metrics.define import metric_of
from maestro_gym.evaluation.statistics import Interval


@dataclass(frozen=True)
class Shown:
    """How one metric is shown.

    Attributes:
        column: Metric column.
        heading: Words and unit for a column or an axis.
        scale: Factor from the metric's unit to the shown one.
        words: The metric in a sentence.
    """

    column: str
    heading: str
    scale: float
    words: str

    @property
    def better(self) -> str:
        """Which way is better."""
        return metric_of(self.column).better


HEADLINE = (
    Shown("slo_attainment", "SLO attainment [%]", 100.0, "SLO attainment"),
    Shown("ttft_attainment", "TTFT attainment [%]", 100.0, "TTFT attainment"),
    Shown("completion_mean_s", "completion mean [s]", 1.0, "mean completion time"),
    Shown("completion_p95_s", "completion p95 [s]", 1.0, "95th percentile of completion time"),
    Shown("ttft_mean_s", "TTFT mean [s]", 1.0, "mean TTFT"),
    Shown("cold_starts", "cold starts", 1.0, "cold starts"),
    Shown("kv_reserved_mean_bytes", "KV reserved [GB]", 1e-9, "KV memory reserved"),
    Shown("kv_used_mean_bytes", "KV used [GB]", 1e-9, "KV memory used"),
    Shown("cost_per_1k_in_time_usd", "cost of 1,000 in time [USD]", 1.0, "cost of a thousand workflows in time"),
    Shown("unfinished", "unfinished", 1.0, "unfinished workflows"),
)
"""Columns of a wide table, in order."""

FIRST = tuple(
    shown
    for shown in HEADLINE
    if shown.column in ("slo_attainment", "ttft_attainment", "completion_mean_s", "unfinished")
)
"""Columns that a table has unless all are asked for: promises kept, speed, and whom it left unserved."""

SHED = (
    Shown("shed_share", "shed [%]", 100.0, "share of workflows turned away"),
    Shown("shed_share_interactive", "shed interactive [%]", 100.0, "share of interactive workflows turned away"),
    Shown("shed_share_batch", "shed batch [%]", 100.0, "share of batch workflows turned away"),
)
"""Columns beside them where a policy turns workflows away."""

TENANTS = (
    Shown("slo_attainment_worst_tenant", "worst tenant's SLO [%]", 100.0, "SLO attainment of the worst tenant"),
    Shown("service_gap_tokens", "service gap [k tokens]", 1e-3, "largest gap of service between two tenants"),
    Shown("service_fairness", "Jain index of service", 1.0, "Jain index of service"),
    Shown("shed_share_worst_tenant", "shed, worst tenant [%]", 100.0, "share that the worst tenant lost to admission"),
)
"""Columns of tables about tenants."""

TOOLS = (
    Shown("tool_wait_mean_s", "tool wait mean [s]", 1.0, "mean wait for a place of a tool"),
    Shown("tool_wait_p95_s", "tool wait p95 [s]", 1.0, "95th percentile of the wait for a place of a tool"),
    Shown("tool_utilisation", "tool places busy [%]", 100.0, "share of the places of tools in use"),
)
"""Columns beside them where tools have finite places."""

HANDED_OVER = (
    Shown("transfers", "transfers", 1.0, "stages handed over"),
    Shown("transfer_bytes", "KV moved [GB]", 1e-9, "KV moved between nodes"),
    Shown("transfer_mean_s", "transfer mean [ms]", 1e3, "mean time of a KV transfer"),
    Shown("handoff_mean_s", "handoff mean [ms]", 1e3, "mean time from the first token to the node that decodes"),
)
"""Columns beside them where nodes only prefill or only decode; behind them how fast tokens come."""

SPEED = (
    Shown("ttft_p95_s", "TTFT p95 [s]", 1.0, "95th percentile of TTFT"),
    Shown("tpot_mean_s", "TPOT mean [ms]", 1e3, "mean TPOT"),
    Shown("tpot_p95_s", "TPOT p95 [ms]", 1e3, "95th percentile of TPOT"),
)
"""Columns of tables about tokens."""

LOST = (
    Shown("availability", "availability [%]", 100.0, "share of the time in which nodes had not failed"),
    Shown("restarts", "restarts", 1.0, "stages that were lost with their node"),
    Shown("wasted_tokens", "wasted [k tokens]", 1e-3, "tokens that were lost with them"),
)
"""Columns beside them where nodes fail."""

RESENT = (Shown("resent", "sent anew", 1.0, "prompts and answers that an outage of a link held up"),)
"""Columns beside them where links fail."""

SCALED = (
    Shown("node_h", "node-hours", 1.0, "node-hours"),
    Shown("energy_kwh", "energy [kWh]", 1.0, "energy"),
    Shown("cost_usd", "cost [USD]", 1.0, "cost"),
)
"""Columns beside them where nodes are started."""

REUSED = (Shown("prefix_hit_rate", "prefix hits [%]", 100.0, "share of prompt tokens from the prefix cache"),)
"""Columns of tables about contexts."""

REGROUPED = (
    Shown("regroups", "regroups", 1.0, "changes of a board's degree"),
    Shown("changing_gpu_h", "changing [GPU h]", 1.0, "GPU-hours of nodes that drained or started"),
    Shown("degree_mean", "mean degree [GPUs]", 1.0, "GPUs of a node"),
    Shown("slo_attainment_interactive", "SLO interactive [%]", 100.0, "SLO attainment of interactive workflows"),
    Shown("slo_attainment_batch", "SLO batch [%]", 100.0, "SLO attainment of batch workflows"),
)
"""Columns beside them where GPUs are regrouped."""

SHOWN = {
    shown.column: shown
    for shown in (
        *HEADLINE,
        *SPEED,
        *SHED,
        *TENANTS,
        *TOOLS,
        *HANDED_OVER,
        *LOST,
        *RESENT,
        *SCALED,
        *REUSED,
        *REGROUPED,
    )
}


def headline(rows: pd.DataFrame, *, wide: bool = True) -> tuple[Shown, ...]:
    """Columns of the table of a comparison.

    Args:
        rows: One row an episode.
        wide: All columns, and not only those of `FIRST`; with what was turned away, waited for tools, was handed over,
            or was lost with nodes or saved by them, where there is any.
    """
    beside: tuple[Shown, ...] = ()
    groups = (
        ("shed_share", SHED),
        ("tool_wait_mean_s", TOOLS),
        ("transfers", (*HANDED_OVER, *SPEED)),
        ("restarts", LOST),
        ("resent", RESENT),
        ("node_starts", SCALED),
        ("regroups", REGROUPED),
    )
    for column, group in groups:
        # Where there are no tools with places nobody has a wait; elsewhere nothing happened is 0.
        is_there = column in rows and bool((rows[column].notna() if group is TOOLS else rows[column] > 0).any())
        if is_there:
            beside += group if wide else group[:1]
    return (*(HEADLINE if wide else FIRST), *beside)


def number(value: float, *, signed: bool = False) -> str:
    """A number at three or so significant digits, "-" when unknown.

    Args:
        value: In the shown unit.
        signed: Write a plus before positive ones.
    """
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    decimals = 0 if size >= 1000 else 1 if size >= 10 else 2
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def spread(interval: Interval, scale: float) -> str:
    """Half the width of an interval as ``±x``, nothing when unknown."""
    side = (interval.high - interval.low) / 2 * scale
    return f" ±{number(side)}" if math.isfinite(side) else ""


def bounds(interval: Interval, scale: float) -> str:
    """An interval as ``[low, high]``, nothing when unknown."""
    if not math.isfinite(interval.low):
        return ""
    return f"[{number(interval.low * scale)}, {number(interval.high * scale)}]"
