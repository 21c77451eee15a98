"""The figures of a study on one page, drawn by Optuna through plotly; the page needs no other file and no network."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro_gym.config.tune import TuneConfig
from maestro_gym.core.whole_file import write_whole

if TYPE_CHECKING:
    import optuna

_STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}h2{margin-top:2em}"


def write_plots(study: optuna.Study, path: Path, config: TuneConfig) -> None:
    """Write the page.

    Args:
        study: With its trials.
        path: HTML file.
        config: Settings of the study.
    """
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Study of {config.verb}</title>",
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>Study of {html.escape(config.verb)}</h1>",
        f"<p>{html.escape(config.metric)} on {len(config.seeds)} validation episodes, by trial.</p>",
    ]
    for number, (title, draw) in enumerate(_figures(study, config).items()):
        figure = draw()
        figure.update_layout(title=None, margin={"t": 20})
        drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        parts.append(f"<h2>{title}</h2>{drawn}")
    write_whole(path, "\n".join(parts) + "</html>\n")


def _figures(study: optuna.Study, config: TuneConfig) -> dict[str, Callable[[], Any]]:
    """Figures that the trials so far can fill, by title."""
    from optuna import visualization as draw
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    known, spread = len(done), len({trial.value for trial in done}) > 1
    name = config.metric
    figures: dict[str, Callable[[], Any]] = {
        "Value of every trial": lambda: draw.plot_optimization_history(study, target_name=name),
        "How trials went, and which were given up": lambda: draw.plot_intermediate_values(study),
        "When trials ran": lambda: draw.plot_timeline(study),
    }
    if known:
        figures["Value by setting"] = lambda: draw.plot_slice(study, target_name=name)
        figures["Settings together"] = lambda: draw.plot_parallel_coordinate(study, target_name=name)
    if known > 1 and spread:
        figures["What mattered"] = lambda: draw.plot_param_importances(study, target_name=name)
    if known > 1 and len(config.vary) > 1:
        figures["Pairs of settings"] = lambda: draw.plot_contour(study, target_name=name)
    return figures
