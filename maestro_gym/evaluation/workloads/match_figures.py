"""A workload beside its trace: one column a quantity, frequencies above, distribution functions below."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from maestro_gym.core.colours import COLOURS
from maestro_gym.evaluation.report.palette import STYLE, figure
from maestro_gym.evaluation.workloads.match import QUANTITIES, Sample

_LOG_FROM = 30.0
"""Where the largest value is so many times the median, the axis is logarithmic."""
_BINS = 40


def draw_match(title: str, samples: dict[str, Sample], path: Path) -> None:
    """Draw the four distributions of one or two workloads.

    Args:
        title: Heading.
        samples: Numbers by name; the first is drawn as an area, the second as a line.
        path: PNG file to write; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        fig, axes = figure(2, len(QUANTITIES), width=3.1 * len(QUANTITIES), height=5.2)
        for column, (name, unit) in enumerate(QUANTITIES.items()):
            values = {label: sample.values[name] for label, sample in samples.items()}
            values = {label: part for label, part in values.items() if len(part)}
            if not values:
                axes[column].set_visible(False)
                axes[len(QUANTITIES) + column].set_visible(False)
                continue
            pooled = np.concatenate(list(values.values()))
            positive = pooled[pooled > 0]
            log = len(positive) > 0 and positive.max() > _LOG_FROM * max(float(np.median(positive)), 1e-9)
            log = log or name in ("input", "output")
            _frequencies(axes[column], values, log)
            _functions(axes[len(QUANTITIES) + column], values, log)
            axes[column].set_title(name)
            edge = ", 0 at the left edge" if log and (pooled == 0).any() else ""
            axes[len(QUANTITIES) + column].set_xlabel(f"{name} [{unit}]{edge}")
        axes[0].set_ylabel("share of the sample")
        axes[len(QUANTITIES)].set_ylabel("share at or below")
        axes[0].legend()
        fig.suptitle(title, fontsize=11, x=0.01, ha="left")
        fig.savefig(path)


def _edges(values: dict[str, np.ndarray], log: bool) -> np.ndarray:
    pooled = np.concatenate(list(values.values()))
    top = max(float(pooled.max()), 1e-6)
    if log:
        positive = pooled[pooled > 0]
        low = max(float(np.quantile(positive, 0.005)) if len(positive) else top / 10, top / 1e7)
        return np.geomspace(low * 0.9, top * 1.05, _BINS)
    if top <= _BINS * 4 and np.array_equal(pooled, np.round(pooled)):
        step = max(1, int(np.ceil(top / _BINS)))
        return np.arange(0.5, top + step + 0.5, step)
    return np.linspace(0.0, top * 1.02 + 1e-9, _BINS)


def _frequencies(panel: Axes, values: dict[str, np.ndarray], log: bool) -> None:
    edges = _edges(values, log)
    for index, (label, part) in enumerate(values.items()):
        share, _ = np.histogram(np.clip(part, edges[0], edges[-1]), edges)
        panel.stairs(
            share / len(part),
            edges,
            label=label,
            color=COLOURS[index],
            fill=index == 0,
            alpha=0.45 if index == 0 else 1,
        )
    if log:
        _log_axis(panel)


def _functions(panel: Axes, values: dict[str, np.ndarray], log: bool) -> None:
    low = float(_edges(values, log)[0])
    for index, part in enumerate(values.values()):
        ordered = np.sort(part)
        if log:
            ordered = np.maximum(ordered, low)
        panel.plot(
            ordered,
            np.arange(1, len(ordered) + 1) / len(ordered),
            color=COLOURS[index],
            drawstyle="steps-post",
            linestyle="-" if index == 0 else (0, (5, 2)),
        )
    if log:
        _log_axis(panel)
    panel.set_ylim(0, 1.02)


def _log_axis(panel: Axes) -> None:
    """Scale an axis by decades; where it spans few of them, label 2 and 5 too."""
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    few = high < 100 * low
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    if few:
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
