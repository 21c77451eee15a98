"""The performance profiles of trainings, for a comparison in which several seeds of one training take part."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from maestro_gym.evaluation.report.display import SHOWN
from maestro_gym.evaluation.report.palette import figure, look
from maestro_gym.evaluation.report.told_apart import JUDGED
from maestro_gym.evaluation.training_runs import TrainingSummary

CAPTION = (
    "The share of runs and settings whose score, a mean over evaluation seeds, is above a threshold, with its "
    "pointwise 95 % band; runs are resampled within each setting (Agarwal et al., NeurIPS 2021)."
)


def draw_profiles(summaries: Sequence[TrainingSummary]) -> Figure:
    """Draw the profile of every training, a panel a metric.

    Args:
        summaries: Of `told_apart.training_summaries`.
    """
    fig, axes = figure(1, len(JUDGED), width=10, height=3.8, share_y=True)
    for panel, column in zip(axes, JUDGED, strict=True):
        shown = SHOWN[column]
        for index, summary in enumerate(summary for summary in summaries if summary.column == column):
            profile, style = summary.profile, look(index) | {"marker": ""}
            at = profile.thresholds * shown.scale
            label = ", ".join(summary.runs)
            panel.step(at, profile.share * 100, where="post", label=label, **style)  # pyright: ignore[reportArgumentType]
            panel.fill_between(
                at, profile.low * 100, profile.high * 100, step="post", color=style["color"], alpha=0.2, linewidth=0
            )
        panel.set(xlabel=f"threshold: {shown.heading}", ylim=(0, 102))
    axes[0].set_ylabel("runs and settings above it [%]")
    axes[0].legend(loc="lower left")
    return fig
