"""A rule of the user's own, from one Python file: ``my_rule.py:RULE``; agents are found here too, and made above."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import types

from maestro_gym.baselines.compile_errors import compile_now
from maestro_gym.config import hint
from maestro_gym.core.compile import compile_fresh, interpreted
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.worker_process import is_worker
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, RULE_TYPE, Rule
from maestro_gym.scheduling.rules import (
    BAND_TYPE,
    CANDIDATE_COST_TYPE,
    COST_TYPE,
    DEGREE_TYPE,
    KEY_TYPE,
    RANK_TYPE,
    TARGET_TYPE,
    VERDICT_TYPE,
    Declared,
    ReclaimRule,
)
from maestro_gym.scheduling.tiers import RULE_TIERS
from maestro_gym.state.types import VIEW

_EXAMPLE = (
    "A rule is what order_by, admit_by, scale_by, give_by, route_by, serve_by, hold_by, regroup_by or reclaim_by of "
    "maestro_gym.scheduling.rules returns, or a class with `tier = 'cluster'` and a static method "
    "`decide(view, oracle, e)`; an agent has `tier` and `act(observation, mask)`."
)


def is_user_spec(spec: str) -> bool:
    """Whether a policy's name points into a Python file."""
    return spec.partition(":")[0].endswith(".py")


def beside(spec: str, folder: Path) -> str:
    """A spec as a file in some folder means it: a Python file is looked for there first, then where the program runs.

    Args:
        spec: ``file.py:Name``, or any other name, which is left as it is.
        folder: The folder.
    """
    file, colon, name = spec.partition(":")
    return f"{folder / file}{colon}{name}" if is_user_spec(spec) and os.path.isfile(folder / file) else spec


def _load_module(path: Path) -> ModuleType:
    name = f"maestro_user_rule_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise MaestroError(f"{path} cannot be read as a Python file; give the path of a .py file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise MaestroError(f"{path} fails when it is run: {type(error).__name__}: {error}. Mend the file.") from error
    return module


@dataclass(frozen=True)
class UserObject:
    """What a user's file holds under a name.

    Attributes:
        name: The name.
        value: A declaration, a `Rule`, a class with ``decide`` (a rule), or something with ``act`` (an agent).
        path: The file.
    """

    name: str
    value: Any
    path: Path

    @property
    def is_agent(self) -> bool:
        """Whether it decides in Python by an observation, and not in compiled code by the view."""
        value = self.value
        is_rule = isinstance(value, Declared | Rule) or hasattr(value, "decide")
        return not is_rule and _is_agent(value)


def load_user_object(spec: str) -> UserObject:
    """Run a Python file and find what is named in it.

    Args:
        spec: ``path/to/file.py:Name``. The name may be left out when the file holds one rule or agent.

    Raises:
        MaestroError: No such file or name, or an error in the file.
    """
    file, _, name = spec.partition(":")
    path = Path(file)
    if not os.path.isfile(path):
        raise MaestroError(f"policy {spec!r}: there is no file {file}; write path/to/file.py:Name")
    if not is_worker():
        warnings.warn(f"running the code of {path}: use only rules that you trust", stacklevel=4)
    module = _load_module(path)
    held = vars(module)
    found = {
        key: value
        for key, value in held.items()
        if _is_rule(value, module.__name__)
        or (_is_agent(value) and getattr(value, "__module__", "") == module.__name__)
    }
    if not name and len(found) == 1:
        name = next(iter(found))
    if name not in found and not (name in held and _is_agent(held[name])):
        raise MaestroError(
            f"policy {spec!r}: {path} holds no rule or agent called {name!r}. {hint(name, found)} {_EXAMPLE}"
        )
    return UserObject(name, held[name], path)


def load_user_rule(spec: str) -> Declared | Rule:
    """Run a Python file and make a rule of what is named in it; see `load_user_object` and `rule_from`."""
    return rule_from(load_user_object(spec))


def rule_from(found: UserObject) -> Declared | Rule:
    """Make a rule of what a file holds, and compile what is the user's own.

    Args:
        found: What stands in the file.

    Returns:
        A declaration (`scheduling.rules`) as it stands in the file, its source the file where it names none; or the
        `Rule` of a class with ``tier`` and ``decide``, compiled. Information class and description of a class come from
        its attributes ``information`` (default "P") and ``description``, or the docstring; so may ``numbers``.

    Raises:
        MaestroError: A tier or class that does not exist, a function that does not take what it must or that cannot be
            compiled, or an agent, which is no rule.
    """
    rule, name, path = found.value, found.name, found.path
    if found.is_agent:
        raise MaestroError(
            f"{path}: {name} is an agent in Python (it has act), and here a compiled rule is needed. compare, validate "
            "and live take agents; from Python, maestro_gym.agents.load.load_any_policy does."
        )
    if isinstance(rule, Declared):
        _check_functions(rule, name, path)
        return rule
    made = replace(rule, function=compile_fresh(rule.function)) if isinstance(rule, Rule) else _from_class(found)
    compile_now(made.function, RULE_TYPE, f"{path}: {name}")
    return made


def _is_rule(value: object, module: str) -> bool:
    if isinstance(value, Declared | Rule):
        return True
    return hasattr(value, "decide") and hasattr(value, "tier") and getattr(value, "__module__", module) == module


def _is_agent(value: object) -> bool:
    """Whether something decides in Python: it has ``act``, or it is a function of an observation and a mask."""
    if inspect.isfunction(value):
        return tuple(inspect.signature(value).parameters) == ("observation", "mask")
    return callable(getattr(value, "act", None))


_TAKES = {
    "key": ("view", "oracle", "e", "stage"),
    "band": ("view", "e", "stage"),
    "hold": ("view", "e", "stage"),
    "verdict": ("view", "e", "stage"),
    "degree": ("view", "e", "node"),
    "cost": ("view", "e", "stage", "node"),
    "node": ("view", "e", "stage", "cluster", "gate"),
    "cluster": ("view", "e", "stage", "gate"),
    "fate": ("view", "e", "stage", "node"),
    "decide": ("view", "oracle", "e"),
}
"""What the functions of a declaration take, by field."""

_CANDIDATE_TAKES = {
    "rank": ("view", "e", "candidate", "growth"),
    "cost": ("view", "e", "candidate"),
    "oracle_cost": ("view", "oracle", "e", "candidate"),
}

_TYPES = {
    "key": KEY_TYPE,
    "band": BAND_TYPE,
    "hold": types.FunctionType(types.boolean(VIEW, types.int64, types.int64)),
    "verdict": VERDICT_TYPE,
    "target": TARGET_TYPE,
    "degree": DEGREE_TYPE,
    "cost": COST_TYPE,
    "node": types.FunctionType(types.int64(VIEW, *[types.int64] * 4)),
    "cluster": types.FunctionType(types.int64(VIEW, *[types.int64] * 3)),
    "fate": types.FunctionType(types.int64(VIEW, *[types.int64] * 3)),
    "decide": RULE_TYPE,
}
"""Their compiled types."""

_CANDIDATE_TYPES = {"rank": RANK_TYPE, "cost": CANDIDATE_COST_TYPE, "oracle_cost": KEY_TYPE}


def _check_functions(rule: Declared, name: str, path: Path) -> None:
    """Refuse functions that do not take what they must, before the compiler does it in its own words."""
    takes = _CANDIDATE_TAKES if isinstance(rule, ReclaimRule) else _TAKES
    types_of = _CANDIDATE_TYPES if isinstance(rule, ReclaimRule) else _TYPES
    for field, wanted in takes.items():
        function = getattr(rule, field, None)
        if function is not None:
            where = f"{path}: the {field} of {name}"
            _check_arguments(function, wanted, where)
            compile_now(function, types_of[field], where)


def _check_arguments(function: Callable[..., Any], wanted: tuple[str, ...], where: str) -> None:
    takes = list(inspect.signature(interpreted(function)).parameters)
    if len(takes) != len(wanted):
        raise MaestroError(f"{where} takes ({', '.join(takes)}); write it as a function of ({', '.join(wanted)})")


def _from_class(found: UserObject) -> Rule:
    source, name, path = found.value, found.name, found.path
    tier = getattr(source, "tier", None)
    if tier not in RULE_TIERS:
        raise MaestroError(f"{path}: {name}.tier is {tier!r}. {hint(str(tier), RULE_TIERS)}")
    information = getattr(source, "information", "P")
    if information not in INFORMATION_CLASSES:
        raise MaestroError(
            f"{path}: {name}.information is {information!r}. {hint(str(information), INFORMATION_CLASSES)}"
        )
    decide = source.decide
    if inspect.ismethod(decide):
        raise MaestroError(f"{path}: {name}.decide is a method; write it as a static method decide(view, oracle, e)")
    _check_arguments(decide, _TAKES["decide"], f"{path}: {name}.decide")
    description = (
        getattr(source, "description", None) or (inspect.getdoc(source) or "a rule of the user's").splitlines()[0]
    )
    numbers = tuple(getattr(source, "numbers", ()))
    return Rule(name, tier, information, description, str(path), "", compile_fresh(decide), numbers=numbers)
