"""The verbs of ``maestro-gym predict``: fit a predictor, and measure how good it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maestro_gym.cli.console import dotted_overrides, output, show_table, write_json
from maestro_gym.cli.options import JsonFile, Overrides, Overwrite, ScenarioName
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder

if TYPE_CHECKING:
    from maestro_gym.evaluation.predictions.study import Study

app = typer.Typer(
    name="predict",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Fit Maestro's predictors, and measure them on workflows from which they did not learn.

  maestro-gym predict evaluate                   on fresh workflows of the scenario's family

  maestro-gym predict evaluate workload.trace=sample

  maestro-gym compare -p maestro --predictors oracle,boosted,role_median,constant,noisy""",
)


@app.command()
def fit(overrides: Overrides = None, scenario: ScenarioName = "quick", json_file: JsonFile = None) -> None:
    """Fit the boosted predictor to a scenario's past workflows; predictor.kind=boosted then finds it in the cache.

    Example: maestro-gym predict fit --scenario paper

    Example: maestro-gym predict fit predictor.history=4000
    """
    from maestro_gym.evaluation.predictions.fitted import fit_rows, fit_scenario

    fitted = fit_scenario(scenario, dotted_overrides(overrides))
    rows = fit_rows(fitted)
    where = "taken from the cache" if fitted.cached else f"fitted in {fitted.wall_s:.1f} s"
    show_table(f"{len(fitted.predictor.history):,} calls of history, {where}", rows)
    output().print(f"\nPredictor: {fitted.path}", highlight=False, soft_wrap=True)
    write_json(
        json_file,
        {
            "command": "predict fit",
            "calls": len(fitted.predictor.history),
            "cached": fitted.cached,
            "wall_s": fitted.wall_s,
            "path": fitted.path,
            "rows": rows,
        },
    )


@app.command()
def evaluate(
    overrides: Overrides = None,
    scenario: ScenarioName = "quick",
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="What is held out. workflow: fresh workflows of a family, or five folds of a trace; time: the last "
            "part of a trace, after learning from its first part.",
        ),
    ] = "workflow",
    workflows: Annotated[
        int,
        typer.Option("--workflows", min=2, help="About how many fresh workflows of a family to predict."),
    ] = 3000,
    ablation: Annotated[
        bool, typer.Option("--ablation/--no-ablation", help="Also leave out each group of features in turn.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The run folder for the fits, and for study.json, which is what --json writes.",
            show_default="runs/predict/TIME",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the study in --out that was stopped: its fits are not repeated."),
    ] = False,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Compare the boosted predictor with its rivals on workflows from which none of them learned.

    The intervals come from a bootstrap over workflows, and differences are paired by workflow.

    Example: maestro-gym predict evaluate --scenario quick

    Example: maestro-gym predict evaluate --split time workload.trace=sample
    """
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.evaluation.predictions.fits_kept import FitsKept
    from maestro_gym.evaluation.predictions.quality import PREDICTION_METRICS
    from maestro_gym.evaluation.predictions.study import (
        PAPER,
        ablation_rows,
        difference_rows,
        facts_of,
        make_trial,
        quality_rows,
        run_study,
    )
    from maestro_gym.evaluation.run_info import resumed_command

    if resume and out is None:
        raise MaestroError("--resume: say by --out which folder holds the study that was stopped.")
    # The study fits predictors of its own; the scenario's would only cost time.
    words = [*dotted_overrides(overrides), "predictor.kind=constant"]
    trial = make_trial(Scenario.load(scenario, words), split, workflows)
    console = output()
    folder = out or Path("runs") / "predict" / time.strftime("%Y%m%d-%H%M%S")
    with run_folder(folder, resume=resume, overwrite=overwrite, go_on=resumed_command(folder)):
        if overwrite:
            clear_earlier(folder)
        study = run_study(trial, ablation=ablation, kept=FitsKept(folder, facts_of(trial)))
        document = _document(study, split)
        write_json(folder / "study.json", document)
    write_json(json_file, document)
    qualities, differences = quality_rows(study), difference_rows(study)
    left_out = ablation_rows(study) if ablation else []
    tested = int(trial.tested.sum())
    console.print(f"{trial.title}; {tested:,} calls", highlight=False, soft_wrap=True)
    names = list(PREDICTION_METRICS)
    for title, some in (("tool intent", names[:4]), ("output length", names[4:10]), ("remaining time", names[10:])):
        show_table(title, [_shown(row, ("predictor", *some)) for row in qualities], _legend(some))
    show_table("boosted minus rival", [_shown(row) for row in differences], "mae_%: of the rival's; paired by workflow")
    if left_out:
        show_table("without a part, minus with all", [_shown(row) for row in left_out])
    reported = ", ".join(f"{name} {value:g}" for name, value in PAPER.items())
    console.print(f"The Maestro paper reports, on a workload that is not public: {reported}.", highlight=False)
    console.print(f"\nResults: {folder}", highlight=False, soft_wrap=True)


def _document(study: Study, split: str) -> dict[str, Any]:
    from maestro_gym.evaluation.predictions.quality import PREDICTION_METRICS
    from maestro_gym.evaluation.predictions.study import PAPER, ablation_rows, difference_rows, quality_rows

    return {
        "command": "predict evaluate",
        "split": split,
        "trial": study.trial.title,
        "calls": int(study.trial.tested.sum()),
        "paper": PAPER,
        "metrics": [{"name": name} | metric._asdict() for name, metric in PREDICTION_METRICS.items()],
        "predictors": [_numbers(row) for row in quality_rows(study)],
        "differences": [_numbers(row) for row in difference_rows(study)],
        "ablation": [_numbers(row) for row in ablation_rows(study)] if study.ablation else [],
    }


def _shown(row: dict[str, Any], columns: tuple[str, ...] | None = None) -> dict[str, str]:
    return {name: _cell(row[name]) for name in columns or row}


def _cell(value: Any) -> str:  # noqa: ANN401 - a name, an interval or nothing
    from maestro_gym.evaluation.report.display import bounds, number

    if value is None or isinstance(value, str):
        return value or ""
    digits = 3 if abs(value.estimate) < 2 else None
    if digits is None:
        return f"{number(value.estimate)} {bounds(value, 1.0)}".rstrip()
    return f"{value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _legend(names: list[str]) -> str:
    from maestro_gym.evaluation.predictions.quality import PREDICTION_METRICS

    return "\n".join(f"{name}: {PREDICTION_METRICS[name].formula}" for name in names)


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        if value is None or isinstance(value, str)
        else {"value": value.estimate, "low": value.low, "high": value.high}
        for name, value in row.items()
    }
