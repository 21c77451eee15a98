"""The one picture of an explanation: what numbers are worth, which decisions differ, whom it saves and gives up."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.core.whole_file import whole_file
from maestro_gym.evaluation.explain.explanation import Explanation
from maestro_gym.evaluation.explain.tables import PERCENT
from maestro_gym.evaluation.explain.workflows import Fate
from maestro_gym.evaluation.report.palette import STYLE
from maestro_gym.evaluation.statistics import Interval

_MOST_NUMBERS = 14
_MOST_KINDS = 5
_LABEL_WIDTH = 52  # characters of a line
_DARK = "#333333"
_SAVED, _GIVEN_UP = COLOURS[0], COLOURS[1]
_TIER_COLOURS = {"global": COLOURS[0], "cluster": COLOURS[2], "node": COLOURS[3]}
_WHO = ("class", "rarest model", "slack", "calls", "application")


def draw_explanation(found: Explanation, path: Path) -> None:
    """Draw it.

    Args:
        found: What was found out.
        path: PNG file to write.
    """
    with mpl.rc_context(STYLE):
        rows = sum(len([fate for fate in found.fates if fate.by == by]) + 1 for by in _WHO)
        height = max(9.0, (5.6 if found.worths else 3.2) + 0.21 * rows)
        fig = Figure(figsize=(13.5, height), layout="constrained")
        # A letter a panel: numbers, decisions, time, who.
        layout = "ND;TW" if found.worths else "DW;TW"
        panels = fig.subplot_mosaic(layout, height_ratios=[1.0, 1.1] if found.worths else [1.3, 1.0])
        if found.worths:
            _numbers(panels["N"], found)
        _decisions(panels["D"], found)
        _over_time(panels["T"], found)
        _who(panels["W"], found)
        title = (
            f"{found.policy} against {found.reference}: {found.scenario}, {found.contention} contention, "
            f"{len(found.seeds)} {found.split} episodes"
        )
        fig.suptitle(title, fontsize=12, x=0.01, ha="left", weight="bold")
        with whole_file(path) as part:
            fig.savefig(part)


def _sides(interval: Interval, scale: float) -> np.ndarray:
    """Distances of the ends of an interval from its estimate, shape (2, 1); none where it is unknown."""
    ends = np.array([[interval.estimate - interval.low], [interval.high - interval.estimate]])
    return np.maximum(np.nan_to_num(ends * scale), 0.0)


def _numbers(panel: Axes, found: Explanation) -> None:
    numbers = [worth for worth in found.worths if not worth.is_part]
    # Those that matter most either way; the order stays that of their worth.
    kept = sorted(numbers, key=lambda worth: -abs(worth.slo.estimate))[:_MOST_NUMBERS]
    parts = [worth for worth in found.worths if worth.is_part]
    rows = [*(worth for worth in numbers if worth in kept), *parts]
    places = np.arange(len(rows)) + np.array([0.7 if worth.is_part else 0.0 for worth in rows])
    for place, worth in zip(places, rows, strict=True):
        sure = worth.slo.excludes_zero
        colour = (_SAVED if worth.slo.estimate > 0 else _GIVEN_UP) if sure else GREY
        panel.errorbar(
            PERCENT * worth.slo.estimate,
            place,
            xerr=_sides(worth.slo, PERCENT),
            fmt="D" if worth.is_part else "o",
            color=colour,
            capsize=2.5,
        )
    panel.axvline(0.0, color=_DARK, linewidth=0.8)
    panel.set_yticks(places, [worth.name for worth in rows])
    panel.invert_yaxis()
    panel.grid(axis="y", visible=False)
    left_out = len(numbers) - len(kept)
    tail = f" (largest {len(kept)} of {len(numbers)})" if left_out else ""
    panel.set(title=f"What its numbers are worth{tail}", xlabel="SLO attainment lost when taken back [points]")


def _decisions(panel: Axes, found: Explanation) -> None:
    place, places, names = 0.0, [], []
    for tier in found.differences.tiers:
        colour = _TIER_COLOURS[tier.tier]
        rows = [(f"{tier.tier}: all that differs", tier.differ, True)]
        kinds = [kind for kind in found.differences.kinds if kind.tier == tier.tier][:_MOST_KINDS]
        rows += [(kind.words, kind.share, False) for kind in kinds]
        for words, share, whole in rows:
            value = PERCENT * np.nan_to_num(share.estimate)
            panel.barh(place, value, height=0.72, color=colour, alpha=1.0 if whole else 0.45, linewidth=0)
            panel.errorbar(
                value, place, xerr=_sides(share, PERCENT), fmt="none", ecolor=_DARK, elinewidth=0.9, capsize=2
            )
            end = value + float(_sides(share, PERCENT)[1, 0])
            text = f"{value:.1f} %" if value >= 0.05 or not value else "< 0.1 %"
            panel.annotate(text, (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5)
            places.append(place)
            names.append(words)
            place += 1.0
        place += 0.6
    panel.set_yticks(places, [fill(words, _LABEL_WIDTH) for words in names])
    for label, words in zip(panel.get_yticklabels(), names, strict=True):
        label.set_fontsize(8)
        label.set_fontweight("bold" if words.endswith(": all that differs") else "normal")
    panel.invert_yaxis()
    panel.grid(axis="y", visible=False)
    panel.margins(x=0.14)
    panel.set_xlim(left=0)
    panel.set(
        title=f"Decisions that {found.reference} would take otherwise", xlabel="share of the tier's decisions [%]"
    )


def _over_time(panel: Axes, found: Explanation) -> None:
    rows = [fate for fate in found.fates if fate.by == "arrival"]
    places = np.arange(len(rows))
    saved, given = (np.array([PERCENT * part.estimate for part in parts]) for parts in _shares(rows))
    panel.bar(places, saved, width=0.8, color=_SAVED, alpha=0.75, linewidth=0, label="saved")
    panel.bar(places, -given, width=0.8, color=_GIVEN_UP, alpha=0.75, linewidth=0, label="given up")
    net = [fate.net_share for fate in rows]
    sides = np.concatenate([_sides(part, PERCENT) for part in net], axis=1)
    middle = [PERCENT * part.estimate for part in net]
    panel.errorbar(places, middle, yerr=sides, fmt="o-", color=_DARK, capsize=2.5, linewidth=1.2, label="net")
    panel.axhline(0.0, color=_DARK, linewidth=0.8)
    panel.set_xticks(places, [fate.group.removeprefix("minute ").replace(" to ", "\N{EN DASH}") for fate in rows])
    panel.grid(axis="x", visible=False)
    panel.set(title="Workflows by arrival", xlabel="arrival [minute]", ylabel="share of the arrivals [%]")
    panel.legend(loc="best", ncols=3)


def _shares(rows: list[Fate]) -> tuple[list[Interval], list[Interval]]:
    return [fate.saved_share for fate in rows], [fate.given_up_share for fate in rows]


def _who(panel: Axes, found: Explanation) -> None:
    place, places, names, heads = 0.0, [], [], []
    for by in _WHO:
        rows = [fate for fate in found.fates if fate.by == by]
        if by == "application":
            rows.sort(key=lambda fate: -fate.net_share.estimate)
        if not rows:
            continue
        heads.append((place, by))
        place += 0.9
        for fate in rows:
            panel.barh(place, PERCENT * fate.saved_share.estimate, height=0.74, color=_SAVED, alpha=0.75, linewidth=0)
            panel.barh(
                place, -PERCENT * fate.given_up_share.estimate, height=0.74, color=_GIVEN_UP, alpha=0.75, linewidth=0
            )
            net = fate.net_share
            panel.errorbar(
                PERCENT * net.estimate, place, xerr=_sides(net, PERCENT), fmt="o", color=_DARK, capsize=2, markersize=4
            )
            places.append(place)
            names.append(fate.group)
            place += 1.0
        place += 0.3
    panel.axvline(0.0, color=_DARK, linewidth=0.8)
    panel.set_yticks([*places, *(head for head, _ in heads)], [*names, *(f"by {by}" for _, by in heads)])
    for label, is_head in zip(panel.get_yticklabels(), [False] * len(places) + [True] * len(heads), strict=True):
        label.set_fontsize(8)
        label.set_fontweight("bold" if is_head else "normal")
    panel.tick_params(axis="y", length=0)
    panel.invert_yaxis()
    panel.grid(axis="y", visible=False)
    panel.set(
        title="Whom it saves (right) and gives up (left)",
        xlabel="share of the group [%]; dot: net, with its 95 % interval",
    )
