"""A rule of the user's own, from one Python file: ``my_rule.py:RULE``."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from maestro_gym.config import hint
from maestro_gym.core.compile import compile_fresh, interpreted
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, Rule
from maestro_gym.scheduling.rules import Declared, ReclaimRule
from maestro_gym.scheduling.tiers import RULE_TIERS

_EXAMPLE = (
    "A rule is what order_by, route_by, serve_by or reclaim_by of maestro_gym.scheduling.rules returns, or a class "
    "with `tier = 'cluster'` and a static method `decide(view, oracle, e)`."
)


def is_user_spec(spec: str) -> bool:
    """Whether a policy's name points into a Python file."""
    return spec.partition(":")[0].endswith(".py")


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


def load_user_rule(spec: str) -> Declared | Rule:
    """Run a Python file and make a rule of what is named in it.

    Args:
        spec: ``path/to/file.py:Name``. The name may be left out when the file holds one rule.

    Returns:
        A declaration (`scheduling.rules`) as it stands in the file, its source the file where it names none; or the
        `Rule` of a class with ``tier`` and ``decide``, compiled. Information class and description of a class come from
        its attributes ``information`` (default "P") and ``description``, or the docstring.

    Raises:
        MaestroError: No such file or name, an error in the file, a tier or class that does not exist, or a function
            that does not take what it must.
    """
    file, _, name = spec.partition(":")
    path = Path(file)
    if not path.is_file():
        raise MaestroError(f"policy {spec!r}: there is no file {file}; write path/to/file.py:Name")
    warnings.warn(f"running the code of {path}: use only rules that you trust", stacklevel=3)
    module = _load_module(path)
    found = {key: value for key, value in vars(module).items() if _is_rule(value, module.__name__)}
    if not name and len(found) == 1:
        name = next(iter(found))
    if name not in found:
        raise MaestroError(f"policy {spec!r}: {path} holds no rule called {name!r}. {hint(name, found)} {_EXAMPLE}")
    rule = found[name]
    if isinstance(rule, Rule):
        return replace(rule, function=compile_fresh(rule.function))
    if isinstance(rule, Declared):
        _check_functions(rule, name, path)
        return rule
    return _from_class(rule, name, path)


def _is_rule(value: object, module: str) -> bool:
    if isinstance(value, Declared | Rule):
        return True
    return hasattr(value, "decide") and hasattr(value, "tier") and getattr(value, "__module__", module) == module


_TAKES = {
    "key": ("view", "oracle", "e", "stage"),
    "band": ("view", "e", "stage"),
    "cost": ("view", "e", "stage", "node"),
    "node": ("view", "e", "stage", "cluster", "gate"),
    "cluster": ("view", "e", "stage", "gate"),
    "decide": ("view", "oracle", "e"),
}
"""What the functions of a declaration take, by field."""

_CANDIDATE_TAKES = {"rank": ("view", "e", "candidate", "growth"), "cost": ("view", "e", "candidate")}


def _check_functions(rule: Declared, name: str, path: Path) -> None:
    """Refuse functions that do not take what they must, before the compiler does it in its own words."""
    takes = _CANDIDATE_TAKES if isinstance(rule, ReclaimRule) else _TAKES
    for field, wanted in takes.items():
        function = getattr(rule, field, None)
        if function is not None:
            _check_arguments(function, wanted, f"{path}: the {field} of {name}")


def _check_arguments(function: Callable[..., Any], wanted: tuple[str, ...], where: str) -> None:
    takes = list(inspect.signature(interpreted(function)).parameters)
    if len(takes) != len(wanted):
        raise MaestroError(f"{where} takes ({', '.join(takes)}); write it as a function of ({', '.join(wanted)})")


def _from_class(source: Any, name: str, path: Path) -> Rule:  # noqa: ANN401 - whatever the user wrote
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
    return Rule(name, tier, information, description, str(path), "", compile_fresh(decide))
