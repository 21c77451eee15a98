"""Who takes part in a comparison: policies, and those that read predictions under every predictor asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

from maestro_gym.baselines.registry import own_limits
from maestro_gym.config import PredictorConfig, hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.comparison import PolicyLabel
from maestro_gym.evaluation.worker import Runner, label_of, policy_of

_NUMBERS = {"noisy": "mae_tokens", "constant": "constant_tokens"}
"""What the number after a predictor's name sets."""


class Entrant(NamedTuple):
    """A row of the tables.

    Attributes:
        spec: What names its policy.
        label: How tables call it.
        overrides: What its predictor changes in the scenario; nothing where it takes the scenario's own.
        limits: Limits of engines that it brings along; the arrival rate then stays that of the unchanged scenario.
    """

    spec: str
    label: PolicyLabel
    overrides: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def predictor_overrides(word: str) -> tuple[str, ...]:
    """Read a predictor as the command line names it.

    Args:
        word: A kind; noisy:100 sets its mean absolute error, constant:300 its guess [tokens].

    Returns:
        Overrides of the scenario.

    Raises:
        MaestroError: There is no such predictor, or a number that it has no use for.
    """
    kinds = get_args(PredictorConfig.model_fields["kind"].annotation)
    kind, colon, number = word.partition(":")
    if kind not in kinds:
        raise MaestroError(f"--predictors {word}: there is no predictor `{kind}`. {hint(kind, kinds)}")
    if not colon:
        return (f"predictor.kind={kind}",)
    if kind not in _NUMBERS:
        raise MaestroError(
            f"--predictors {word}: {kind} takes no number; only {' and '.join(_NUMBERS)} do, as in noisy:100."
        )
    return (f"predictor.kind={kind}", f"predictor.{_NUMBERS[kind]}={number}")


def enter(
    specs: Sequence[str],
    predictors: Sequence[str],
    runner: Runner,
    name: str,
    overrides: tuple[str, ...],
    *,
    own: bool = False,
) -> list[Entrant]:
    """Load every policy and give each row of the tables a name of its own.

    A policy of class N reads no prediction, so it would do the same under all of them and enters once.

    Args:
        specs: What names the policies.
        predictors: What they are told by, in turn; none: by the scenario's own.
        runner: How specs become policies.
        name: Name or file of the scenario that they are loaded for.
        overrides: Its overrides.
        own: Whether policies that were searched together with limits of engines get these limits.

    Returns:
        The entrants; all policies under the first predictor come first.

    Raises:
        MaestroError: A policy or predictor does not exist, or is named twice.
    """
    for word, count in Counter(predictors).items():
        if count > 1:
            raise MaestroError(f"--predictors: {word} is named {count} times; name each predictor once.")
    limits = [own_limits(spec) if own else () for spec in specs]
    labels = _labels(specs, limits, runner, name, overrides)
    plain = [Entrant(spec, label, (), its) for spec, label, its in zip(specs, labels, limits, strict=True)]
    if not predictors:
        return plain
    told = [entrant for entrant in plain if entrant.label.information != "N"]
    if not told:
        raise MaestroError(
            f"--predictors: none of {', '.join(label.name for label in labels)} reads a prediction, so all predictors "
            "would give the same. Name a policy of class P, such as maestro (`maestro-gym policies` lists them)."
        )
    entrants: list[Entrant] = []
    for word in predictors:
        changes = predictor_overrides(word)
        for spec, label, _, its in told:
            # Loaded here too, so that what must be fitted is fitted once and found by the workers.
            policy_of(runner, spec, name, (*overrides, *changes, *its))
            entrants.append(Entrant(spec, replace(label, name=f"{label.name}@{word}", predictor=word), changes, its))
    return entrants + [entrant for entrant in plain if entrant.label.information == "N"]


def _labels(
    specs: Sequence[str], limits: Sequence[tuple[str, ...]], runner: Runner, name: str, overrides: tuple[str, ...]
) -> list[PolicyLabel]:
    loaded = [policy_of(runner, spec, name, (*overrides, *its)) for spec, its in zip(specs, limits, strict=True)]
    shared = {name for name, count in Counter(policy.name for policy in loaded).items() if count > 1}
    names = [f"{p.name} ({spec})" if p.name in shared else p.name for spec, p in zip(specs, loaded, strict=True)]
    for name, count in Counter(names).items():
        if count > 1:
            raise MaestroError(f"Policy {name} is named {count} times; name each policy once.")
    return [label_of(p, spec, name) for name, spec, p in zip(names, specs, loaded, strict=True)]
