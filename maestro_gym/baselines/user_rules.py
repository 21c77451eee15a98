"""A rule of the user's own, from one Python file: ``my_rule.py:MyRule``."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba

from maestro_gym.config import hint
from maestro_gym.core.compile import INTERPRETED
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, Rule
from maestro_gym.scheduling.tiers import RULE_TIERS

_EXAMPLE = "A rule is a class with `tier = 'cluster'` and a static method `decide(view, oracle, e)`."


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


def compile_rule(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a plain function without a cache on disk; what already is a dispatcher stays as it is.

    For rules that a cache would serve stale: numba does not see edits to what a user's file calls, nor the arrays that
    a rule has frozen into it.
    """
    if hasattr(function, "py_func") or INTERPRETED:
        return function
    return numba.njit(nogil=True, error_model="numpy")(function)


def load_user_rule(spec: str) -> Rule:
    """Run a Python file and make a rule of the class, instance or ``Rule`` that is named.

    Args:
        spec: ``path/to/file.py:Name``. The name may be left out when the file holds one rule.

    Returns:
        The rule, its ``decide`` compiled. Information class and description come from the
        attributes ``information`` (default "P") and ``description``, or the docstring.

    Raises:
        MaestroError: no such file or name, an error in the file, a tier or class that does not
            exist, or a ``decide`` that does not take (view, oracle, e).
    """
    file, _, name = spec.partition(":")
    path = Path(file)
    if not path.is_file():
        raise MaestroError(f"policy {spec!r}: there is no file {file}; write path/to/file.py:Name")
    warnings.warn(f"running the code of {path}: use only rules that you trust", stacklevel=3)
    module = _load_module(path)
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, Rule) or (hasattr(value, "decide") and hasattr(value, "tier"))
    }
    if not name and len(found) == 1:
        name = next(iter(found))
    if name not in found:
        raise MaestroError(f"policy {spec!r}: {path} holds no rule called {name!r}. {hint(name, found)} {_EXAMPLE}")
    rule = found[name]
    return rule if isinstance(rule, Rule) else _from_class(rule, name, path)


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
    plain = getattr(decide, "py_func", decide)
    takes = list(inspect.signature(plain).parameters)
    if len(takes) != 3 or inspect.ismethod(decide):
        raise MaestroError(
            f"{path}: {name}.decide takes ({', '.join(takes)}); write it as a static method decide(view, oracle, e)"
        )
    description = (
        getattr(source, "description", None) or (inspect.getdoc(source) or "a rule of the user's").splitlines()[0]
    )
    return Rule(name, tier, information, description, str(path), "", compile_rule(decide))
