"""Every policy by name, and how one rule is completed to a policy.

`complete` puts the other tiers around a rule, for the table of policies and for a rule from a user's file alike, with
what ``parts.py`` holds. ``NAME@early`` is any policy bound at readiness; it is made when it is asked for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from maestro_gym.baselines.maestro.percentiles import scale_for
from maestro_gym.baselines.parts import (
    ADMISSIONS,
    AROUND,
    AUTOSCALINGS,
    COMPANIONS,
    CONTEXT_RULES,
    EARLY,
    NODE_RULES,
    ORDERS,
    RECLAIM_RULES,
    REGROUPINGS,
    ROUTINGS,
    RULES,
    TOOL_ORDERS,
    Around,
    Parts,
    bound_early,
    complete_parts,
    name_of,
    split_binding,
)
from maestro_gym.baselines.shaped.file import POLICY_FILE, SUFFIXES, demand_knobs, read_numbers, values_of
from maestro_gym.baselines.shaped.numbers import FAMILY
from maestro_gym.baselines.user_rules import beside, is_user_spec, load_user_rule
from maestro_gym.config import config_names, hint
from maestro_gym.config.base import shortened
from maestro_gym.config.files import find_config
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.trust import demand_trust
from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.numbers import Family
from maestro_gym.scheduling.policy import Policy, Rule
from maestro_gym.scheduling.rules import Declared


class _Config(Protocol):
    @property
    def name(self) -> str: ...


class HasConfig(Protocol):
    """Anything with a scenario's configuration, of which only the name is read."""

    @property
    def config(self) -> _Config:
        """The scenario's configuration."""
        ...


def complete(
    rule: Declared | Rule,
    around: Around,
    *,
    early: bool = False,
    scale: FitnessScale | None = None,
    spec: str = "",
) -> Policy:
    """Complete one rule to a policy, as the table of policies does it for every rival.

    Args:
        rule: A declaration, or a rule that decides from nothing (`scheduling.policy.Rule`).
        around: ``plain`` or ``maestro`` companions.
        early: Whether stages are bound at readiness (`parts.bound_early`).
        scale: The scenario's percentiles of Maestro's fitness; None takes the default.
        spec: What ``load_policy`` was asked for.

    Returns:
        The policy, called as the rule, with ``+maestro`` where these are its companions and ``@early`` where it is.
    """
    scale = scale or FitnessScale()
    name = rule.name if around == "plain" else f"{rule.name}+{around}"
    parts = COMPANIONS[around] if isinstance(rule, Rule) else complete_parts(rule, around)
    if early:
        name, parts = f"{name}@{EARLY}", bound_early(parts)
    policy = parts.compiled(name, scale, spec)
    if isinstance(rule, Rule):
        return with_rule(policy, rule, name, spec)
    return replace(policy, family=Family(spec or name, rule.numbers)) if rule.numbers else policy


def _table() -> dict[str, Parts]:
    plain, maestro = COMPANIONS["plain"], COMPANIONS["maestro"]
    class_fcfs, warm_jsq, raw = ORDERS["class-fcfs"], ROUTINGS["warm-jsq"], ROUTINGS["maestro-raw"]
    table = {
        "maestro": maestro,
        "maestro-raw": replace(
            maestro, placement=raw, routing=raw, description="Maestro with fitness terms in raw time"
        ),
        "maestro-max-reservation": replace(
            maestro, node=NODE_RULES["maestro-max"], description="Maestro without predicted reservation"
        ),
        "maestro-fcfs": replace(
            maestro, order=class_fcfs, node=NODE_RULES["class-fcfs"], description="Maestro without SRTF on T_rem"
        ),
        "maestro-no-preemption": replace(
            maestro, order=ORDERS["maestro-no-preemption"], description="Maestro without boundary preemption"
        ),
        "maestro-no-fitness": replace(
            maestro, placement=warm_jsq, routing=warm_jsq, description="Maestro without node fitness"
        ),
        "maestro-lru": replace(maestro, reclaim=RECLAIM_RULES["lru"], description="Maestro without least-harm reclaim"),
        "maestro-no-prediction": Parts(
            class_fcfs,
            warm_jsq,
            warm_jsq,
            NODE_RULES["class-fcfs-max"],
            RECLAIM_RULES["lru"],
            "Maestro with nothing predicted",
        ),
    }
    for rules in RULES:
        for rule in rules.values():
            if rule.rival:
                table |= {name_of(rule, around): complete_parts(rule, around) for around in AROUND}
    shaped = Parts(
        ORDERS["shaped"],
        ROUTINGS["shaped"],
        ROUTINGS["shaped"],
        NODE_RULES["shaped"],
        RECLAIM_RULES["shaped"],
        "the shaped family with its defaults, which decide as Maestro does",
        numbers=FAMILY.defaults(),
        family=FAMILY,
        admission=ADMISSIONS["shaped"],
        tools=TOOL_ORDERS["shaped"],
        autoscaling=AUTOSCALINGS["shaped"],
        contexts=CONTEXT_RULES["shaped"],
        regrouping=REGROUPINGS["shaped"],
    )
    table["shaped"] = shaped
    for name in config_names("policies"):
        path = find_config("policies", name, "the shipped policies")
        numbers = values_of(FAMILY, read_numbers(path).numbers, str(path))
        table[name] = replace(shaped, numbers=numbers, description=f"numbers found by search, {path.name}")
    pinned, exclusive = ROUTINGS["pinned"], NODE_RULES["exclusive"]
    table["no-colocation"] = Parts(
        plain.order,
        pinned,
        pinned,
        exclusive,
        RECLAIM_RULES["lru"],
        "one model on each node at a time, models pinned to nodes",
    )
    table["edf-early"] = bound_early(
        Parts(
            ORDERS["edf"],
            pinned,
            pinned,
            NODE_RULES["exclusive-edf"],
            RECLAIM_RULES["lru"],
            "EDF, blind to lengths, without co-location and elastic KV",
        )
    )
    table["no-colocation+maestro"] = replace(
        maestro,
        placement=pinned,
        routing=pinned,
        node=exclusive,
        description="No-Colocation under Maestro's global order",
    )
    return table


TABLE: dict[str, Parts] = _table()
"""All named policies."""


def policy_names() -> tuple[str, ...]:
    """Names that ``load_policy`` knows, in the order of the table."""
    return tuple(TABLE)


def with_rule(policy: Policy, rule: Rule, name: str, spec: str) -> Policy:
    """The same policy with one rule exchanged for another of its tier; the rule's numbers are at their defaults."""
    policy = replace(policy, **{f"{rule.tier}_rule": rule}, name=name, spec=spec, description=rule.description)
    if not rule.numbers:
        return policy
    family = Family(spec or name, rule.numbers)
    return replace(policy, numbers=family.in_view(family.defaults()), family=family)


def load_policy(
    spec: str, scenario: HasConfig | None = None, *, named_in: str | Path | None = None, trust: bool = False
) -> Policy:
    """Make a policy from its name, or from a user's rule in a Python file.

    Args:
        spec: A name of the table, or ``path/to/file.py:Name`` of a rule of the user's own, which is completed with
            plain companions; ``path/to/file.py:Name+maestro`` puts Maestro's rules around it. ``@early`` behind any of
            them binds stages at readiness.
        scenario: Chooses the frozen percentiles of Maestro's fitness; None takes the default scale.
        named_in: The file and field that names the policy; None: the user's own word, which is trust in a Python file.
        trust: Whether a Python file that a file names may be run.

    Returns:
        The policy; its functions compile when they are first called.

    Raises:
        MaestroError: When there is no such policy, file or rule, or a file names code that is not trusted.
    """
    demand_trust_of(spec, named_in, trust=trust)
    base, early = split_binding(spec)
    if is_user_spec(base):
        rule_spec, _ = split_around(base)
        return user_policy(load_user_rule(rule_spec), scenario, spec)
    scale = scale_for(scenario.config.name if scenario is not None else None)
    path = numbers_file(spec)
    if path is not None:
        return _of_numbers(path, spec, scenario)
    if base not in TABLE:
        raise MaestroError(
            f"no policy is called {shortened(base)!r}. {hint(base, TABLE)} "
            f"A rule of your own is written as path/to/file.py:Name (see docs/baselines.md)."
        )
    return (bound_early(TABLE[base]) if early else TABLE[base]).compiled(spec, scale, spec)


def demand_trust_of(spec: str, named_in: str | Path | None, *, trust: bool) -> None:
    """Refuse a policy that a file names and whose loading would run a Python file, unless the user trusts it.

    Args:
        spec: As of `load_policy`.
        named_in: The file and field that names it; None: the user did.
        trust: Whether the user said so.

    Raises:
        MaestroError: The user did not.
    """
    path = None if is_user_spec(spec) else numbers_file(spec)
    if path is not None:
        named_in, spec = f"{path}: family", beside(read_numbers(path).family, path.parent)
    if named_in is not None and is_user_spec(spec):
        demand_trust(named_in, f"the Python file that it names, {spec},", trust=trust)


def _of_numbers(path: Path, spec: str, scenario: HasConfig | None) -> Policy:
    """The policy of a file of numbers: that of its family, with these; a family in Python is trusted by now."""
    file = read_numbers(path)
    family_spec = beside(file.family, path.parent)
    if split_binding(family_spec)[0] not in TABLE and not is_user_spec(family_spec):
        raise MaestroError(
            f"{path}: family: no family is called `{file.family}`; it is shaped, a rival with numbers, or file.py:RULE."
        )
    asked_early, is_early = split_binding(spec)[1], split_binding(family_spec)[1]
    policy = load_policy(f"{family_spec}@{EARLY}" if asked_early and not is_early else family_spec, scenario)
    if policy.family is None:
        raise MaestroError(
            f"{path}: family: {file.family} has no numbers. A rule declares its own by numbers=(Number(...), ...), see "
            "docs/search.md."
        )
    if scenario is not None and file.knobs:
        demand_knobs(file, scenario.config, spec)
    values = values_of(policy.family, file.numbers, str(path))
    name = Path(split_binding(spec)[0]).stem
    return replace(
        policy,
        name=f"{name}@{EARLY}" if asked_early else name,
        spec=spec,
        description=f"numbers of {path}",
        numbers=policy.family.in_view(values),
    )


def numbers_file(spec: str) -> Path | None:
    """The file of numbers that a policy's name points to: itself, a shipped one, or that of a search's folder."""
    spec, _ = split_binding(spec)
    path = Path(spec)
    if spec in TABLE:
        return find_config("policies", spec, "the shipped policies") if spec in config_names("policies") else None
    if path.suffix in SUFFIXES:
        return path
    return path / POLICY_FILE if os.path.isfile(path / POLICY_FILE) else None


def own_limits(spec: str) -> tuple[str, ...]:
    """Overrides of the limits of engines that a policy's numbers belong to; none for most policies."""
    path = numbers_file(spec)
    return read_numbers(path).overrides if path is not None else ()


def user_policy(rule: Declared | Rule, scenario: HasConfig | None, spec: str) -> Policy:
    """Complete a user's rule for a scenario, as its spec says; the scenario as of `load_policy`."""
    scale = scale_for(scenario.config.name if scenario is not None else None)
    base, early = split_binding(spec)
    return complete(rule, split_around(base)[1], early=early, scale=scale, spec=spec)


def split_around(spec: str) -> tuple[str, Around]:
    """Part the companions from the spec of a user's rule: ``file.py:Name+maestro``.

    Raises:
        MaestroError: When there are no such companions.
    """
    file, _, name = spec.partition(":")
    name, plus, word = name.partition("+")
    rule_spec = f"{file}:{name}" if name else file
    if not plus:
        return rule_spec, "plain"
    for around in AROUND:
        if word == around:
            return rule_spec, around
    raise MaestroError(f"policy {spec!r}: no companions are called {word!r}. {hint(word, AROUND)}")
