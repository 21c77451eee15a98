"""The error of the boosted predictor against rivals, for the claim about Magnus: the study of `predict evaluate`."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.predictions.fits_kept import FitsKept
from maestro_gym.evaluation.predictions.study import facts_of, make_trial, run_study
from maestro_gym.evaluation.statistics import Interval


def predictor_errors(folder: Path, test_workflows: int) -> dict[str, Interval]:
    """Fit the predictors of the study to the past of `quick`, and try them on fresh workflows.

    Args:
        folder: Keeps the fits, so that a run that was stopped goes on.
        test_workflows: Fresh workflows, about.

    Returns:
        Change of the mean absolute error relative to each rival's, in per cent, by the name of its measure.
    """
    trial = make_trial(Scenario.load("quick", ["predictor.kind=constant"]), "workflow", test_workflows)
    study = run_study(trial, ablation=False, kept=FitsKept(folder, facts_of(trial)))
    (_, own), *rivals = study.rivals.items()
    found = {}
    for name, quality in rivals:
        gap = own.difference(quality, "mae_tokens", relative=True)
        found[f"study mae_tokens {name}"] = Interval(100 * gap.estimate, 100 * gap.low, 100 * gap.high, gap.n)
    return found
