"""The figures of a validation: servers and simulator side by side, policy by policy and workflow by workflow."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.core.whole_file import whole_file
from maestro_gym.evaluation.report.palette import STYLE, figure, look
from maestro_gym.real_backend.validation.calibrate_fleet import CalibratedGpu
from maestro_gym.real_backend.validation.validate import Validation, policy_means

_SHOWN = (
    ("completion_mean_s", "completion mean [s]"),
    ("ttft_mean_s", "TTFT mean [s]"),
    ("tpot_mean_s", "TPOT mean [s]"),
)


def draw_validation(found: Validation, folder: Path) -> list[Path]:
    """Draw what a validation found.

    Args:
        found: The findings, from ``validate``.
        folder: The folder of the PNG files, made if it is missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return [_worlds(found, folder), _workflows(found, folder), _fit(found.calibration, folder)]


def _worlds(found: Validation, folder: Path) -> Path:
    names = [policy.name for policy in found.simulated.policies]
    canvas, axes = figure(1, len(_SHOWN), width=3.2 * len(_SHOWN), height=0.5 + 0.45 * len(names) + 0.9)
    places = np.arange(len(names))
    for axis, (metric, label) in zip(axes, _SHOWN, strict=True):
        rows = {row["policy"]: row for row in found.rows if row["metric"] == metric}
        axis.barh(places, [rows[name]["simulated"] for name in names], height=0.6, color=COLOURS[5], label="simulated")
        for number, comparison in enumerate(found.live):
            means = policy_means(comparison.rows, metric)
            axis.plot(
                [means[name] for name in names],
                places,
                linestyle="none",
                marker="|",
                markersize=13,
                markeredgewidth=2,
                color=COLOURS[1],
                label="live rounds" if number == 0 else None,
            )
        axis.set_yticks(places, names if axis is axes[0] else [""] * len(names))
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=2)
    return _save(canvas, folder / "worlds.png")


def _workflows(found: Validation, folder: Path) -> Path:
    canvas, (axis,) = figure(1, 1, width=5.2, height=4.6)
    live = np.mean([_completions(comparison.workflows) for comparison in found.live], axis=0)
    simulated = _completions(found.simulated.workflows)
    policy_of = np.sort(found.simulated.workflows["policy"].to_numpy())
    least, most = min(live.min(), simulated.min()) / 1.1, max(live.max(), simulated.max()) * 1.1
    axis.plot([least, most], [least, most], color=GREY, linewidth=1)
    for index, policy in enumerate(found.simulated.policies):
        style = look(index) | {"linestyle": "none", "markersize": 4, "alpha": 0.7}
        own = policy_of == policy.name
        axis.plot(simulated[own], live[own], **style, label=policy.name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("simulated completion time of a workflow [s]")
    axis.set_ylabel("live, mean of the rounds [s]")
    axis.legend()
    return _save(canvas, folder / "workflows.png")


def _completions(workflows: pd.DataFrame) -> np.ndarray:
    """Return completion times in the order of policy, seed and workflow, which all runs of a validation share."""
    return workflows.sort_values(["policy", "seed", "workflow"])["completion_s"].to_numpy(dtype=float)


def _fit(fitted: CalibratedGpu, folder: Path) -> Path:
    canvas, axes = figure(1, 2, width=8.0, height=3.4)
    for axis, kind, name in zip(
        axes, ("prefill", "decode"), ("first token of a prompt alone", "token gap"), strict=True
    ):
        pairs = [(p, s) for p, s in zip(fitted.points, fitted.predicted_s, strict=True) if p.kind == kind]
        groups = sorted({(point.model, point.prompt_tokens if kind == "decode" else 0) for point, _ in pairs})
        for index, group in enumerate(groups):
            own = sorted(
                (p.batch if kind == "decode" else p.prompt_tokens, p.seconds, s)
                for p, s in pairs
                if (p.model, p.prompt_tokens if kind == "decode" else 0) == group
            )
            x, measured, predicted = np.array(own).T
            label = f"{group[0]}, prompt {group[1]}" if kind == "decode" else group[0]
            colour = COLOURS[index % len(COLOURS)]
            axis.plot(x, 1e3 * measured, linestyle="none", marker="o", color=colour, label=f"{label}, measured")
            axis.plot(x, 1e3 * predicted, color=colour, label=f"{label}, fitted")
        axis.set_title(name)
        axis.set_xlabel("batch" if kind == "decode" else "prompt tokens")
        axis.set_ylabel("ms")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=6)
    return _save(canvas, folder / "calibration.png")


def _save(canvas: Figure, path: Path) -> Path:
    with whole_file(path) as part:
        canvas.savefig(part)
    return path
