"""``maestro-gym train``: from a scenario and settings to a run folder with a policy in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from maestro_gym.agents.checkpoint import checkpoint_of
from maestro_gym.agents.load import learned_policy
from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import read_card
from maestro_gym.agents.run_folder import default_folder, has_ended, note_run, resumed_config, write_config
from maestro_gym.agents.trainer import Trainer, Watch
from maestro_gym.agents.training_env import TrainingVecEnv
from maestro_gym.agents.validation import Validation
from maestro_gym.baselines import load_policy
from maestro_gym.baselines.registry import demand_trust_of
from maestro_gym.config import ScenarioConfig, config_names, load_scenario
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.core.threads import usable_cores
from maestro_gym.envs import EnvOptions, RewardConfig
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.run_info import versions

_SEED_STRIDE = 1 << 16
"""Between the environments of two training seeds: no batch is wider, so they share no episode."""

SHOWN = ("reward", "slo_attainment", "slo_attainment_interactive", "slo_attainment_batch", "completion_mean_s")
"""Validation measures of the summary."""


@dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Attributes:
        folder: The run folder, which `compare` takes as a policy.
        steps: Decisions learned from.
        wall_s: Seconds that this session took.
        rows: Validation of the policy before training, the one kept, and the companions' own, by measure.
    """

    folder: Path
    steps: int
    wall_s: float
    rows: list[dict[str, Any]]


def run_train(
    scenario: str = "quick",
    config: str | None = None,
    *,
    tier: str | None = None,
    contention: str | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    stop_at_steps: int | None = None,
    trust: bool = False,
    console: Console | None = None,
    progress: bool = True,
) -> TrainResult:
    """Train a policy, or go on with a training.

    Args:
        scenario: Name or file.
        config: Name or file of ``configs/train``; None takes the tier's own, or the scenario's.
        tier: ``global``, ``cluster``, ``node`` or ``joint``; None takes the configuration's.
        contention: ``low``, ``medium``, ``high`` or ``overload``.
        overrides: ``dotted.place=value``; settings of the training start with ``train.``.
        seed: Of network, sampling and episodes; None takes the configuration's.
        out: Run folder; None makes one below ``runs/train``.
        resume: Run folder to go on with; its own configuration is used, changed by ``overrides`` only.
        overwrite: Remove the run in ``out``, if there is one.
        stop_at_steps: End the session early, with a checkpoint to resume from.
        trust: Whether a Python file that the configuration names as companions may be run; a word of ``overrides`` is
            trust in itself.
        console: Where words go; None prints on standard output.
        progress: Show how far it is, on standard error.

    Returns:
        Folder, steps and validation measures.

    Raises:
        MaestroError: Something asked for does not exist, does not fit together or is not trusted.
    """
    resolved = resolved_training(
        scenario,
        config,
        tier=tier,
        contention=contention,
        overrides=overrides,
        seed=seed,
        resume=resume,
        trust=trust,
    )
    return train_in(
        resume or out or default_folder(resolved),
        resolved,
        resume=resume is not None,
        overwrite=overwrite,
        stop_at_steps=stop_at_steps,
        console=console or Console(),
        progress=progress,
    )


def resolved_training(
    scenario: str,
    config: str | None,
    *,
    tier: str | None = None,
    contention: str | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    resume: Path | None = None,
    trust: bool = False,
) -> ScenarioConfig:
    """Put together what a training is asked to do; the arguments are those of `run_train`.

    Returns:
        The scenario, its training settings among it.

    Raises:
        MaestroError: Something asked for does not exist, does not fit together or is not trusted.
    """
    if resume is None:
        resolved = load_scenario(scenario, _train_overrides(config, tier, contention, seed, overrides))
    else:
        resolved = resumed_config(resume, list(overrides))
    is_typed = any(text.startswith("train.companions=") for text in overrides)
    named_in = None if is_typed else f"{resume or config or scenario}: train.companions"
    demand_trust_of(resolved.train.companions, named_in, trust=trust)
    return resolved


def train_in(
    folder: Path,
    resolved: ScenarioConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    stop_at_steps: int | None = None,
    console: Console,
    progress: bool = True,
    watch: Watch | None = None,
) -> TrainResult:
    """Train a policy in a folder, which this process owns meanwhile.

    Args:
        folder: The run folder.
        resolved: What is asked for, its code trusted by now.
        resume: Whether a run may be there; what is left of it goes on.
        overwrite: Whether a run that is there is removed.
        stop_at_steps: End the session early, with a checkpoint to resume from.
        console: Where words go.
        progress: Show how far it is, on standard error.
        watch: Told of every evaluation; what it raises ends the training.

    Returns:
        Folder, steps and validation measures.

    Raises:
        MaestroError: The folder cannot be had, or what is asked for does not fit together.
    """
    go_on = f"maestro-gym train --resume {folder}"
    with run_folder(folder, resume=resume, overwrite=overwrite, go_on=go_on):
        if overwrite:
            clear_earlier(folder)
        return _train_into(folder, resolved, resume, stop_at_steps, console, progress, watch)


def _train_into(
    folder: Path,
    resolved: ScenarioConfig,
    resume: bool,
    stop_at_steps: int | None,
    console: Console,
    progress: bool,
    watch: Watch | None,
) -> TrainResult:
    begin = time.perf_counter()
    # What was killed before its first checkpoint begins anew; a run that has ended and lacks it is refused.
    goes_on = resume and (checkpoint_of(folder) is not None or has_ended(folder))
    write_config(folder, resolved)
    train = resolved.train
    console.print(
        f"training the {train.tier} tier on {resolved.name}, contention {resolved.contention}, seed {train.seed}: "
        f"{train.total_steps:,} decisions into {folder}",
        highlight=False,
        soft_wrap=True,
    )
    trainer, reference = _compose(resolved, folder, watch)
    note_run(folder, {"seed": train.seed, "state": "running"})
    trainer.run(resume=goes_on, stop_at_steps=stop_at_steps, progress=progress)
    wall_s = time.perf_counter() - begin
    steps = trainer.model.num_timesteps
    rows = _summary(trainer, folder, reference, train.companions)
    state = "finished" if steps >= train.total_steps else "stopped"
    note_run(folder, {"seed": train.seed, "state": state, "steps": steps, "session_s": wall_s, "validation": rows})
    return TrainResult(folder, steps, wall_s, rows)


def _train_overrides(
    config: str | None, tier: str | None, contention: str | None, seed: int | None, overrides: Sequence[str]
) -> list[str]:
    if config is None and tier in config_names("train"):
        config = tier
    sections = [f"train={config}"] if config else []
    sections += [f"contention={contention}"] if contention else []
    # Options come last: a word like `train=quick` must not bring back the seed of its file.
    options = [f"train.tier={tier}"] if tier else []
    options += [f"train.seed={seed}"] if seed is not None else []
    return [*sections, *overrides, *options]


def _compose(resolved: ScenarioConfig, folder: Path, watch: Watch | None) -> tuple[Trainer, dict[str, float]]:
    """Bring scenario, environments, validation and learner together."""
    train = resolved.train
    world = Scenario(resolved)
    shorter = train.horizon_s is not None and train.horizon_s != resolved.horizon_s
    practice = Scenario(resolved.model_copy(update={"horizon_s": train.horizon_s})) if shorter else world
    reward = RewardConfig.with_slo_weight(train.slo_weight)
    options = EnvOptions(
        scenario=practice,
        companions=train.companions,
        reward=reward,
        window=train.window,
        information=train.information,
    )
    env = TrainingVecEnv(train.tier, train.num_envs, seed=train.seed * _SEED_STRIDE, options=options)
    space: Any = env.observation_space
    rows, columns = space["candidates"].shape
    card = PolicyCard(
        tier=train.tier,
        network=train.network,
        num_features=columns,
        num_context=space["context"].shape[0],
        num_candidates=rows,
        hidden_sizes=tuple(train.hidden_sizes),
        encoder=encoder_fingerprint(env.batch.layout.spec, predictions=train.information == "P"),
        predictions=train.information == "P",
        window=train.window,
        companions=train.companions,
        scenario=resolved.name,
        contention=resolved.contention,
        seed=train.seed,
        discount_horizon_s=train.discount_horizon_s,
        versions=versions(),
    )
    validation = Validation(world, range(train.eval_episodes), reward, usable_cores())
    reference = validation.measure(load_policy(train.companions, world, trust=True))

    def measure(network: CandidateScorer | SlotMlp) -> dict[str, float]:
        return validation.measure(learned_policy(card, network, world, name="training"))

    return Trainer(train, env, folder, card, measure, reference, watch), reference


def _summary(trainer: Trainer, folder: Path, reference: dict[str, float], companions: str) -> list[dict[str, Any]]:
    first, kept = trainer.evaluations.rows[0], read_card(folder)
    named = (("untrained", first), (f"trained, after {kept.steps:,}", kept.validation), (companions, reference))
    return [{"policy": name} | {measure: float(means[measure]) for measure in SHOWN} for name, means in named]
