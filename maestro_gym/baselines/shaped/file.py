"""A policy of a family on disk: a small YAML file of numbers by name. Reading it runs no code.

It says ``family`` (``shaped``, or ``file.py:RULE`` of a rule that declares numbers) and ``format: 1``, holds under
``numbers`` a value by name (those that are left out keep their default), under ``knobs`` the limits of engines that
were searched with them, and under ``about`` whatever its maker wants to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from maestro_gym.config import hint
from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import Free, FreeInt
from maestro_gym.config.files import read_yaml
from maestro_gym.config.messages import validated
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.scheduling.numbers import Family

FORMAT = 1
SUFFIXES = (".yaml", ".yml")
POLICY_FILE = "policy.yaml"
"""Its name in the folder of a search."""

_DIGITS = 5


class NumbersFile(StrictModel):
    """What such a file holds."""

    family: str = Field(description="family of the policy: shaped, or file.py:RULE")
    format: Literal[1] = Field(description="version of the file's layout")
    about: dict[str, Any] = Field(default_factory=dict, description="where the numbers come from, in free words")
    numbers: dict[str, Free] = Field(description="values by name; the others keep their default")
    knobs: dict[str, FreeInt | Free] = Field(
        default={}, description="limits of engines that belong to the numbers, by their place in a scenario"
    )

    @property
    def overrides(self) -> tuple[str, ...]:
        """The knobs as overrides of a scenario."""
        return tuple(f"{place}={value}" for place, value in self.knobs.items())


def read_numbers(path: Path) -> NumbersFile:
    """Read a policy file; whether its family has such numbers is for `values_of` to say.

    Args:
        path: The file.

    Raises:
        MaestroError: It is no such file.
    """
    return validated(NumbersFile, read_yaml(path), lambda _: str(path))


def write_numbers(
    path: Path, family: Family, values: Sequence[float], about: Mapping[str, Any], knobs: Mapping[str, float]
) -> None:
    """Write a policy file; a reader never sees half of it.

    Args:
        path: Where.
        family: Whose numbers they are.
        values: All of them, in order; what equals its default is left out.
        about: Where they come from.
        knobs: Limits of engines that belong to them, by their place in a scenario.
    """
    kept = {
        number.name: float(f"{value:.{_DIGITS}g}")
        for number, value in zip(family.numbers, values, strict=True)
        if value != number.default
    }
    content = {"family": family.name, "format": FORMAT, "about": dict(about), "numbers": kept}
    if knobs:
        content["knobs"] = dict(knobs)
    write_whole(path, yaml.safe_dump(content, sort_keys=False, width=120))


def values_of(family: Family, given: Mapping[str, float], where: str) -> tuple[float, ...]:
    """Numbers by name as a family's whole list, defaults where nothing is given.

    Args:
        family: The family.
        given: Values by name; they may lie outside the range of a search.
        where: What a message calls their source.

    Raises:
        MaestroError: There is no such number, or its value is not finite.
    """
    values, names = list(family.defaults()), family.names
    for name, value in given.items():
        if name not in names:
            raise MaestroError(f"{where}: the {family.name} family has no number `{name}`. {hint(name, names)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise MaestroError(f"{where}: `{name}` is {value!r}; give a finite number.")
        values[names.index(name)] = float(value)
    return tuple(values)


def demand_knobs(file: NumbersFile, config: object, spec: str) -> None:
    """Refuse numbers on engines with other limits than those that they were searched with.

    Args:
        file: The policy file.
        config: The `ScenarioConfig` that it shall run on.
        spec: What named it.

    Raises:
        MaestroError: A limit differs.
    """
    for place, wanted in file.knobs.items():
        value = config
        for key in place.split("."):
            value = getattr(value, key, None)
        if value != wanted:
            raise MaestroError(
                f"policy {spec}: its numbers belong to {place}={wanted}, but the scenario has {value}. compare gives "
                "it these limits, at the same arrival rate, with --own-limits; elsewhere set "
                f"{' '.join(file.overrides)}, and workload.rate_rps if the rate must stay."
            )
