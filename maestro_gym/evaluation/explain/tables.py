"""An explanation as tables: rows of words, the same for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from maestro_gym.evaluation.explain.decisions import Differences
from maestro_gym.evaluation.explain.explanation import Measured, Worth
from maestro_gym.evaluation.explain.workflows import Fate
from maestro_gym.evaluation.report.display import SHOWN, bounds, number
from maestro_gym.evaluation.statistics import Interval

Row = dict[str, str]

PERCENT = 100.0


def shown(interval: Interval, scale: float = 1.0, *, signed: bool = False) -> str:
    """An estimate with its interval, "-" when unknown.

    Args:
        interval: The estimate.
        scale: Factor to the unit that is shown.
        signed: Write a plus before positive estimates.
    """
    return f"{number(interval.estimate * scale, signed=signed)} {bounds(interval, scale)}".rstrip()


def measured_rows(measured: Sequence[Measured], policy: str, reference: str) -> list[Row]:
    """How both do, a row for each metric."""
    rows = []
    for row in measured:
        how = SHOWN[row.metric]
        values = [shown(part, how.scale) for part in (row.policy, row.reference)]
        difference = shown(row.difference, how.scale, signed=True)
        rows.append({"": how.heading, policy: values[0], reference: values[1], "difference": difference})
    return rows


def worth_rows(worths: Sequence[Worth]) -> list[Row]:
    """What the numbers are worth, and the parts."""
    return [
        {
            "number": worth.name,
            "value": "" if worth.is_part else f"{worth.value:.4g}",
            "default": "" if worth.is_part else f"{worth.default:g} {worth.unit}",
            "SLO, points": shown(worth.slo, PERCENT, signed=True),
            "mean completion, s": shown(worth.completion_s, signed=True),
            "meaning": worth.meaning,
        }
        for worth in worths
    ]


def kind_rows(differences: Differences) -> list[Row]:
    """How decisions differ: every tier as a whole, then its kinds."""
    rows = []
    for tier in differences.tiers:
        of_tier = {"tier": tier.tier, "what the policy does": "all that differs", "decisions": number(tier.decisions)}
        rows.append(of_tier | {"share, %": shown(tier.differ, PERCENT), "stages": "", "order only, %": ""})
        for kind in differences.kinds:
            if kind.tier == tier.tier:
                rows.append(
                    {
                        "tier": kind.tier,
                        "what the policy does": kind.words,
                        "decisions": number(kind.decisions),
                        "share, %": shown(kind.share, PERCENT),
                        "stages": _known(kind.stages),
                        "order only, %": _known(PERCENT * kind.at_once),
                    }
                )
    return rows


def place_rows(differences: Differences) -> list[Row]:
    """Where decisions differ: a row for each group, a column for each tier."""
    cells = {(place.by, place.group, place.tier): shown(place.differ, PERCENT) for place in differences.places}
    groups = dict.fromkeys((place.by, place.group) for place in differences.places)
    # Groups of one grouping stand together, also where a tier has none of some group.
    order = list(dict.fromkeys(by for by, _ in groups))
    return [
        {"by": by, "group": group}
        | {f"{tier.tier}, %": cells.get((by, group, tier.tier), "-") for tier in differences.tiers}
        for by, group in sorted(groups, key=lambda pair: order.index(pair[0]))
    ]


def fate_rows(fates: Sequence[Fate]) -> list[Row]:
    """What becomes of workflows, a row for each group."""
    return [
        {
            "by": fate.by,
            "group": fate.group,
            "workflows": f"{fate.workflows:,}",
            "saved": f"{fate.saved:,}",
            "given up": f"{fate.given_up:,}",
            "saved, %": shown(fate.saved_share, PERCENT),
            "given up, %": shown(fate.given_up_share, PERCENT),
            "net, points": shown(fate.net_share, PERCENT, signed=True),
            "completion where both are in time, s": shown(fate.completion_s, signed=True),
        }
        for fate in fates
    ]


def _known(value: float) -> str:
    return "" if math.isnan(value) else number(value)
