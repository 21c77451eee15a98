"""One episode of one policy, in whichever process it is asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.evaluation.comparison import RULE_COLUMNS, PolicyLabel
from maestro_gym.evaluation.report.episode_trace import Trace, trace_of, workflow_table
from maestro_gym.evaluation.training_runs import training_of

if TYPE_CHECKING:
    from maestro_gym.episodes.result import EpisodeResult
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.scheduling.policy import Policy

_MODEL = re.compile(r"\.(zip|pt|onnx)(?=$|[:+])")
"""What the name of a model's file holds; whatever else decides in Python may be learned or not."""

TIME_SERIES_POINTS = 4096
"""Most samples of an episode that is drawn; their spacing is the scenario's."""


def _load_policy(spec: str, scenario: Scenario) -> Policy:
    from maestro_gym.baselines.registry import load_policy

    return load_policy(spec, scenario)


def _run_episode(scenario: Scenario, policy: Policy, **settings: Any) -> EpisodeResult:  # noqa: ANN401 - passed on
    from maestro_gym.episodes.run import run_episode

    return run_episode(scenario, policy, **settings)


@dataclass(frozen=True)
class Runner:
    """How specs become policies and policies episodes; parts above this one bring runners of their own.

    Both are functions of a module, so that a worker process can find them.

    Attributes:
        load: ``(spec, scenario) -> policy``.
        run: ``(scenario, policy, *, split, seed, index, samples) -> EpisodeResult``.
    """

    load: Callable[[str, Scenario], Policy] = _load_policy
    run: Callable[..., EpisodeResult] = _run_episode


@dataclass(frozen=True)
class Job:
    """An episode to run.

    Attributes:
        scenario: Name or file of a scenario.
        overrides: Dotted overrides, contention and predictor included.
        contention: Label of the contention in tables.
        spec: What names the policy: a name, ``file.py:Class``, a run folder.
        label: What tables say of it.
        split: Split of the episode.
        seed: Evaluation seed.
        drawn: Whether the episode's trace is wanted.
        runner: How it is loaded and run.
    """

    scenario: str
    overrides: tuple[str, ...]
    contention: str
    spec: str
    label: PolicyLabel
    split: str
    seed: int
    drawn: bool
    runner: Runner


@dataclass(frozen=True)
class JobOutcome:
    """What a job leaves: its row, its workflows, and its trace when it is drawn."""

    row: dict[str, Any]
    workflows: pd.DataFrame
    trace: Trace | None


@lru_cache(maxsize=16)
def scenario_of(name: str, overrides: tuple[str, ...]) -> Scenario:
    """The scenario of a configuration, built once a process."""
    from maestro_gym.episodes.scenario import Scenario

    return Scenario.load(name, overrides)


@lru_cache(maxsize=64)
def policy_of(runner: Runner, spec: str, name: str, overrides: tuple[str, ...]) -> Policy:
    """The policy of a spec for a scenario, loaded once a process."""
    return runner.load(spec, scenario_of(name, overrides))


def label_of(policy: Policy, spec: str, name: str) -> PolicyLabel:
    """How a policy is called in tables.

    Args:
        policy: The loaded policy.
        spec: What named it; a folder is a training run, and some files are models.
        name: Its name in this comparison.
    """
    names = tuple(rule.name for rule in policy.rules)
    learned = bool(getattr(policy, "learned", False)) or os.path.isdir(spec) or _MODEL.search(spec) is not None
    return PolicyLabel(name, names, policy.information, learned, training=training_of(spec))


def run_job(job: Job) -> JobOutcome:
    """Run one episode and measure it.

    Args:
        job: What to run.
    """
    scenario = scenario_of(job.scenario, job.overrides)
    policy = policy_of(job.runner, job.spec, job.scenario, job.overrides)
    samples = TIME_SERIES_POINTS if job.drawn else 0
    result = job.runner.run(scenario, policy, split=job.split, seed=job.seed, index=0, samples=samples)
    # Tables name runs as this comparison does: two run folders may hold policies of one name.
    label = job.label
    result = replace(result, policy=label.name, scenario=scenario.config.name, contention=job.contention)
    about = dict(zip(RULE_COLUMNS, label.rules, strict=True))
    about |= {"predictor": label.predictor, "information": label.information, "learned": label.learned}
    about |= {"load": scenario.rate_rps / scenario.capacity_rps, "rate_rps": scenario.rate_rps}
    return JobOutcome(result_row(result) | about, workflow_table(result), trace_of(result) if job.drawn else None)
