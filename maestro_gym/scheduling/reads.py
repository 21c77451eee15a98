"""Which rules look at metric fields, by their code: what nobody looks at need not be brought up to now."""

from __future__ import annotations

import inspect
from types import CodeType
from typing import Any

from maestro_gym.scheduling.outside import OutsideRule
from maestro_gym.scheduling.policy import Policy, Rule
from maestro_gym.scheduling.tiers import ALL_TIERS
from maestro_gym.state import View
from maestro_gym.state.fields import METRIC, arrays_of

METRIC_NAMES = frozenset(
    field.name for array in arrays_of(View).values() for field in array.fields if field.source == METRIC
)
"""Names of the fields that are scraped from servers."""


def metric_tiers(policy: Policy) -> int:
    """Tiers in whose decisions a policy may look at metric fields.

    Args:
        policy: Any policy.

    Returns:
        Bit t is set for tier t; the reclaim rule is asked within decisions of the node tier, and while stages run.
    """
    tiers = 0
    for tier, rule in enumerate((policy.global_rule, policy.cluster_rule, policy.node_rule)):
        tiers |= _looks(rule) << tier
    return ALL_TIERS if _looks(policy.reclaim_rule) else tiers


def _looks(rule: Rule) -> bool:
    """Whether a rule may look at a metric field; one that asks outside compiled code may look at anything."""
    return isinstance(rule, OutsideRule) or _mentions(rule.function, set())


def _mentions(value: Any, seen: set[int]) -> bool:  # noqa: ANN401 - whatever a function names or closes over
    """Whether a function, or one that it calls, names a metric field."""
    function = getattr(value, "py_func", value)
    if isinstance(function, tuple | list):
        return any(_mentions(part, seen) for part in function)
    if not inspect.isfunction(function) or id(function) in seen:
        return False
    seen.add(id(function))
    words = _words_of(function.__code__)
    if words & METRIC_NAMES:
        return True
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    for word in words & function.__globals__.keys():
        named = function.__globals__[word]
        held += [getattr(named, part, None) for part in words] if inspect.ismodule(named) else [named]
    return any(_mentions(part, seen) for part in held)


def _words_of(code: CodeType) -> set[str]:
    """Names and strings that stand in a function, and in those that are defined inside it."""
    words = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, str):
            words.add(constant)
        elif isinstance(constant, CodeType):
            words |= _words_of(constant)
    return words
