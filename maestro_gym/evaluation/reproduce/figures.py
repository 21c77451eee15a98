"""The pictures of a reproduction: every reading beside its figure, and where sweeps reach it."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.core.whole_file import whole_file
from maestro_gym.evaluation.report.palette import STYLE, figure, legend_below, look
from maestro_gym.evaluation.reproduce.judge import Outcome
from maestro_gym.evaluation.reproduce.reproduction import Judged, Reading, Reproduction

_TONES = {
    Outcome.REACHES: COLOURS[2],
    Outcome.SHORT: COLOURS[0],
    Outcome.NONE: GREY,
    Outcome.NOT_TOLD: GREY,
    Outcome.OPPOSITE: COLOURS[1],
}
_EDGES = (-1.0, 2.0)
"""Parts of the claimed figure between which readings are drawn; what lies beyond stands at the edge as an arrow."""


def draw_claims(found: Reproduction, path: Path) -> None:
    """Draw every reading of a claim with a figure as a part of that figure: 0 is no difference, 1 the claim.

    Args:
        found: What was found.
        path: PNG file.
    """
    shown = [judged for judged in found.judged if judged.claim.unit in ("points", "%") and _relative(judged)]
    rows = [(judged, reading) for judged in shown for reading in judged.readings if math.isfinite(reading.interval.low)]
    with mpl.rc_context(STYLE):
        fig, (axes,) = figure(1, 1, width=10, height=1.3 + 0.19 * len(rows) + 0.25 * len(shown))
        axes.axvline(0.0, color=GREY, linewidth=1)
        axes.axvline(1.0, color="black", linewidth=1.2, linestyle=(0, (5, 2)))
        at, ticks, names = 0.0, [], []
        for judged in shown:
            title = f"{judged.claim.title}: {judged.verdict.word}"
            axes.text(_EDGES[0], at, title, va="center", weight="bold", bbox={"facecolor": "white", "linewidth": 0})
            at += 1.2
            for reading in (reading for owner, reading in rows if owner is judged):
                _dot(axes, judged, reading, at)
                ticks.append(at)
                names.append(reading.condition.words.replace("`", ""))
                at += 1.0
            at += 0.4
        axes.set_yticks(ticks, names, fontsize=7)
        axes.set(xlim=(_EDGES[0] - 0.05, _EDGES[1] + 0.05), ylim=(at, -0.8))
        axes.set_xticks([-1, -0.5, 0, 0.5, 1, 1.5, 2], ["-1", "-0.5", "none", "0.5", "the paper's figure", "1.5", "2"])
        axes.grid(axis="y", visible=False)
        with whole_file(path) as part:
            fig.savefig(part)


def draw_sweeps(judged: Judged, found: Reproduction, path: Path) -> None:
    """Draw the sweeps of a claim, a panel an axis.

    Args:
        judged: A claim with sweeps.
        found: What was found.
        path: PNG file.
    """
    words = list(dict.fromkeys(cell.words for cell in judged.swept if cell.axis in found.axes))
    with mpl.rc_context(STYLE):
        fig, panels = figure(1, len(found.axes), width=2.4 * len(found.axes), height=3.9, share_y=True)
        for panel, axis in zip(panels, found.axes, strict=True):
            for index, name in enumerate(words):
                cells = [cell for cell in judged.swept if cell.axis is axis and cell.words == name]
                middle = np.array([cell.interval.estimate for cell in cells])
                ends = np.array([(cell.interval.low, cell.interval.high) for cell in cells]).T
                sides = np.nan_to_num(np.abs(ends - middle))
                places = [cell.value for cell in cells]
                panel.errorbar(places, middle, yerr=sides, capsize=2, label=name.replace("`", ""), **look(index))
            panel.axhline(0.0, color=GREY, linewidth=1)
            if judged.claim.figure is not None:
                panel.axhline(judged.claim.figure, color="black", linewidth=1.2, linestyle=(0, (5, 2)))
            panel.set(xlabel=axis.name)
        panels[0].set_ylabel(f"{judged.claim.title} [{judged.claim.unit}]", fontsize=8)
        legend_below(fig, panels[0], [name.replace("`", "") for name in words])
        with whole_file(path) as part:
            fig.savefig(part)


def _relative(judged: Judged) -> bool:
    """Whether parts of the figure mean something: there is one, and zero is no difference."""
    return bool(judged.claim.figure) and judged.claim.id != "oom"


def _dot(axes: Axes, judged: Judged, reading: Reading, at: float) -> None:
    figure_ = judged.claim.figure or 1.0
    middle, low, high = (v / figure_ for v in (reading.interval.estimate, reading.interval.low, reading.interval.high))
    low, high = min(low, high), max(low, high)
    tone = _TONES[reading.outcome]
    if not _EDGES[0] <= middle <= _EDGES[1]:
        edge, marker = (_EDGES[1], ">") if middle > _EDGES[1] else (_EDGES[0], "<")
        axes.plot([edge], [at], marker=marker, color=tone, markersize=6)
        return
    ends = np.clip([low, high], *_EDGES)
    axes.plot(ends, [at, at], color=tone, linewidth=1.6)
    axes.plot([middle], [at], marker="o", color=tone, markersize=4.5)
