"""Predictors on workflows that they did not learn from: rivals side by side, and what every part is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.predictions.fits_kept import FitsKept
from maestro_gym.evaluation.predictions.quality import PREDICTION_METRICS, Quality, quality_of
from maestro_gym.evaluation.predictions.rivals import RIVALS, Predict, without
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.statistics import Interval
from maestro_gym.predictors import Guess, Samples, record, samples_of
from maestro_gym.predictors.features import GROUPS
from maestro_gym.predictors.samples import MOST_CALLS
from maestro_gym.state import Episode
from maestro_gym.workloads import TraceWorkload, episode_key

SPLIT_KINDS = ("workflow", "time")
FOLDS = 5
PAPER = {"tool_auc": 0.9625, "mae_tokens": 165.43, "r2": 0.7774}
"""What the Maestro paper reports, on a workload and with text features that are not public."""

_TEST_SEED = 0
DIFFERENCES = ("mae_tokens", "r2", "tool_auc", "remaining_mae_s")


class Fold(NamedTuple):
    """A history and the stages that a predictor fitted to it is tried on."""

    history: Samples
    tested: np.ndarray  # bool, by stage of the trial's episode


@dataclass(frozen=True)
class Trial:
    """What predictors are tried on.

    Attributes:
        title: How training and test were kept apart, in words.
        episode: Every tested stage, and with a trace the others too.
        service: SERVICE, shape (num_models,).
        folds: No stage is tested twice.
    """

    title: str
    episode: Episode
    service: np.ndarray
    folds: list[Fold]

    @property
    def tested(self) -> np.ndarray:
        """bool, shape (num_stages,)."""
        return np.any([fold.tested for fold in self.folds], axis=0)


@dataclass(frozen=True)
class Study:
    """What came out.

    Attributes:
        trial: What the predictors were tried on.
        rivals: By name, the first the one that the others are compared with.
        ablation: By the feature group that was left out.
    """

    trial: Trial
    rivals: dict[str, Quality]
    ablation: dict[str, Quality]


def make_trial(scenario: Scenario, split: str, test_workflows: int = 3000) -> Trial:
    """Keep workflows to learn from and workflows to try on apart.

    Args:
        scenario: Its workload and speeds.
        split: "workflow": of a family, fresh workflows; of a trace, five folds of workflows. "time": a trace's
            test block after its training block.
        test_workflows: Fresh workflows of a family, about.

    Returns:
        The trial.

    Raises:
        MaestroError: There is no such split, or a family is to be split by time.
    """
    if split not in SPLIT_KINDS:
        raise MaestroError(f"--split {split}: there is no such split; use {' or '.join(SPLIT_KINDS)}.")
    workload, service = scenario.workload, scenario.world.service
    if isinstance(workload, TraceWorkload):
        whole = workload.whole(service)
        return _by_time(workload, whole, service) if split == "time" else _by_workflow(whole, service)
    if split == "time":
        raise MaestroError(
            f"--split time: the workload {workload.name} is drawn alike at all times, so there is no earlier and later "
            "part of it. Use --split workflow, or give a trace with workload.trace=FILE."
        )
    count = scenario.config.predictor.history or int(np.ceil(MOST_CALLS / workload.mix().calls_per_workflow))
    history = samples_of(workload.history(count, service), service)
    key = episode_key("test", _TEST_SEED, 0)
    rate_rps = 1.0
    episode = workload.episode(key, rate_rps, test_workflows / rate_rps, service, "test")
    title = f"{count} workflows of history, {len(episode.workflows)} fresh ones to try on"
    return Trial(title, episode, service, [Fold(history, np.ones(len(episode.stages), bool))])


def _by_time(workload: TraceWorkload, whole: Episode, service: np.ndarray) -> Trial:
    owner, samples = whole.stages["workflow"], samples_of(whole, service)
    train, test = (np.isin(owner, workload.block(split)) for split in ("train", "test"))
    title = (
        f"the first {len(workload.block('train'))} workflows of history, the last {len(workload.block('test'))} tried"
    )
    return Trial(title, whole, service, [Fold(samples.take(train), test)])


def _by_workflow(whole: Episode, service: np.ndarray) -> Trial:
    owner, samples = whole.stages["workflow"], samples_of(whole, service)
    count = len(whole.workflows)
    fold_of = np.random.default_rng(0).permutation(count) % min(FOLDS, count)
    folds = [Fold(samples.take(fold_of[owner] != k), fold_of[owner] == k) for k in range(fold_of.max() + 1)]
    return Trial(f"{len(folds)} folds of {count} workflows, each tried once", whole, service, folds)


def facts_of(trial: Trial) -> dict[str, str]:
    """What the guesses of a trial depend on, by name."""
    tested = hashlib.sha256(b"".join(fold.tested.tobytes() for fold in trial.folds)).hexdigest()
    histories = [fold.history.digest() for fold in trial.folds]
    calls = samples_of(trial.episode, trial.service).digest()
    return {"trial": trial.title, "calls": calls, "histories": " ".join(histories), "calls tried": tested}


def run_study(trial: Trial, *, ablation: bool = True, kept: FitsKept | None = None) -> Study:
    """Try all rivals, and the first of them without each group of features.

    Args:
        trial: From ``make_trial``.
        ablation: Whether to leave groups out too; it fits once more for each.
        kept: Takes the guesses of every fit, and gives those that it has; None keeps none.

    Returns:
        The study.
    """
    features = samples_of(trial.episode, trial.service).features

    done = 0

    def measure(name: str, fit: Callable[[Samples], Predict]) -> Quality:
        nonlocal done
        guesses = np.full((len(Guess._fields), len(features)), np.nan)
        for number, fold in enumerate(trial.folds):
            shown.update(done, note=f"{name}, {len(fold.history):,} calls")
            found = None if kept is None else kept.read(name, number)
            if found is None:
                found = np.array(fit(fold.history)(features[fold.tested]))
                if kept is not None:
                    kept.write(name, number, found)
            guesses[:, fold.tested] = found
            done += 1
            shown.update(done)
        return quality_of(record(trial.episode, trial.service, Guess(*guesses)), trial.tested)

    fits = (len(RIVALS) + (len(GROUPS) if ablation else 0)) * len(trial.folds)
    with WorkProgress("trying predictors", "fits", fits) as shown:
        rivals = {name: measure(name, fit) for name, fit in RIVALS.items()}
        left_out = {group: measure(f"without {group}", without(group)) for group in GROUPS} if ablation else {}
    return Study(trial, rivals, left_out)


def quality_rows(study: Study) -> list[dict[str, Any]]:
    """One row a predictor: every metric with its interval."""
    return [
        {"predictor": name, **{metric: _known(quality.interval(metric)) for metric in PREDICTION_METRICS}}
        for name, quality in study.rivals.items()
    ]


def difference_rows(study: Study) -> list[dict[str, Any]]:
    """One row a rival: by how much the first predictor differs from it, paired by workflow."""
    (_, first), *others = study.rivals.items()
    return [{"boosted against": name} | _gaps(first, other) for name, other in others]


def ablation_rows(study: Study) -> list[dict[str, Any]]:
    """One row a group: by how much the predictor without it differs from the whole one."""
    first = next(iter(study.rivals.values()))
    parts = {"tool stage": study.rivals["one_stage"], **study.ablation}
    return [{"without": group} | _gaps(quality, first) for group, quality in parts.items()]


def _gaps(one: Quality, other: Quality) -> dict[str, Any]:
    relative = one.difference(other, "mae_tokens", relative=True)
    percent = Interval(100 * relative.estimate, 100 * relative.low, 100 * relative.high, relative.n)
    gaps = {name: one.difference(other, name) for name in DIFFERENCES}
    return {"mae_%": _known(percent)} | {name: _known(gap) for name, gap in gaps.items()}


def _known(interval: Interval) -> Interval | None:
    return interval if np.isfinite(interval.estimate) else None
