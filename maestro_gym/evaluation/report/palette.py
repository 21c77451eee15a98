"""House style of figures: colours that colour-blind readers tell apart, quiet axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from maestro_gym.core.colours import COLOURS

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[str | tuple, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))

STYLE: Any = {
    "figure.dpi": 130,
    "savefig.dpi": 130,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


def look(index: int) -> dict[str, Any]:
    """Colour, marker and dash of the policy at a position; 21 differ, and colour is never the only difference."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[(index + 3 * (index // len(MARKERS))) % len(MARKERS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
    }


def figure(
    rows: int, columns: int, *, width: float, height: float, share_x: bool = False, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure that needs no display; the house style is the caller's ``rc_context(STYLE)``.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        width: Of the figure, in inches.
        height: Of the figure, in inches.
        share_x: One time axis for all.
        share_y: One value axis for all.

    Returns:
        The figure and its axes, row by row.
    """
    fig = Figure(figsize=(width, height), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y)
    return fig, list(axes.flat)


def legend_below(fig: Figure, axes: Axes, names: Sequence[str]) -> None:
    """Put one legend for all axes under the figure."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        # As many columns as the figure's width holds: a character is about 0.08 inch, a key five of them.
        widest = 0.08 * (5 + max(len(label) for label in labels))
        ncols = max(1, min(6, len(names), int(fig.get_figwidth() / widest)))
        fig.legend(handles, labels, loc="outside lower center", ncols=ncols)
