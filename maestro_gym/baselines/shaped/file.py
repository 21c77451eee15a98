"""A policy of the shaped family on disk: a small YAML file of numbers by name. Reading it runs no code.

It says ``family: shaped`` and ``format: 1``, holds under ``numbers`` a value by name (those that are left out keep
Maestro's value), and under ``about`` whatever its maker wants to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from maestro_gym.baselines.shaped.numbers import NUMBERS, values_of
from maestro_gym.config.base import StrictModel
from maestro_gym.config.files import read_yaml
from maestro_gym.config.messages import validated

FORMAT = 1
SUFFIXES = (".yaml", ".yml")
POLICY_FILE = "policy.yaml"
"""Its name in the folder of a search."""

_DIGITS = 5


class ShapedFile(StrictModel):
    """What such a file holds."""

    family: Literal["shaped"] = Field(description="family of the policy")
    format: Literal[1] = Field(description="version of the file's layout")
    about: dict[str, Any] = Field(default_factory=dict, description="where the numbers come from, in free words")
    numbers: dict[str, float] = Field(description="values by name; the others keep their default")


def read_numbers(path: Path) -> tuple[float, ...]:
    """The numbers of a policy file, in the order of `NUMBERS`.

    Args:
        path: The file.

    Raises:
        MaestroError: It is no such file, or names a number that does not exist.
    """
    file = validated(ShapedFile, read_yaml(path), lambda _: str(path))
    return values_of(file.numbers, str(path))


def write_numbers(path: Path, values: Mapping[str, float], about: Mapping[str, Any]) -> None:
    """Write a policy file; a reader never sees half of it.

    Args:
        path: Where.
        values: By name; what equals its default is left out.
        about: Where they come from.
    """
    kept = {
        number.name: float(f"{values[number.name]:.{_DIGITS}g}")
        for number in NUMBERS
        if number.name in values and values[number.name] != number.default
    }
    content = {"family": "shaped", "format": FORMAT, "about": dict(about), "numbers": kept}
    partial = path.with_suffix(".part")
    partial.write_text(yaml.safe_dump(content, sort_keys=False, width=120), encoding="utf-8")
    partial.replace(path)
