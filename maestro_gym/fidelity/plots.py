"""Predicted against measured, one figure a source."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from maestro_gym.core.colours import GREY
from maestro_gym.evaluation.report.palette import STYLE, figure, look
from maestro_gym.fidelity.model_errors import Fidelity, Result

MAX_DOTS = 3000
"""Dots of a panel; more would only darken it."""
COLUMNS = 3


def draw(fidelity: Fidelity, folder: Path) -> list[Path]:
    """Draw the figures; panels are quantities, colours are cases, the line is perfect agreement.

    Args:
        fidelity: What was measured.
        folder: Made if it is missing.

    Returns:
        PNG files, one a source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(STYLE):
        for source in dict.fromkeys(result.source for result in fidelity.results):
            results = [result for result in fidelity.results if result.source == source]
            columns = min(COLUMNS, len(results))
            rows = -(-len(results) // columns)
            fig, axes = figure(rows, columns, width=3.4 * columns, height=3.2 * rows)
            for panel, result in zip(axes, results, strict=False):
                _panel(panel, result)
            for panel in axes[len(results) :]:
                panel.set_visible(False)
            fig.suptitle(f"{source}: predicted against measured", fontsize=11, x=0.01, ha="left")
            path = folder / f"{source}.png"
            fig.savefig(path)
            paths.append(path)
    return paths


def _panel(panel: Axes, result: Result) -> None:
    total = sum(len(batch.measured) for batch in result.batches)
    stride = max(1, total // MAX_DOTS)
    everything = np.concatenate([*(batch.measured for batch in result.batches), *result.predicted])
    ends = [everything[everything > 0].min() * 0.8, everything.max() * 1.25]
    panel.plot(ends, ends, color=GREY, linewidth=1.0)
    for index, (batch, predicted) in enumerate(zip(result.batches, result.predicted, strict=True)):
        style = look(index) | {"linestyle": "none", "markersize": 2.5, "alpha": 0.6}
        panel.plot(batch.measured[::stride], predicted[::stride], **style)
    panel.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    panel.set_xlabel(f"measured [{result.unit}]")
    panel.set_ylabel(f"predicted [{result.unit}]")
    panel.set_title(f"{result.quantity} ({result.gpu}): median {100 * result.shipped.median:.1f} %", fontsize=8)
