"""What a door is, and the short episodes that all doors run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ID = "maestro_gym:Maestro/Cluster-v0"
"""Gymnasium imports what stands before the colon, in workers too."""

SHORT: dict[str, Any] = {"overrides": ("horizon_s=5",)}
"""Arguments of the environments: some fifty decisions an episode, so that a run sees several."""


@dataclass(frozen=True)
class Door:
    """One way in.

    Attributes:
        name: As the table names it.
        package: Distribution that it needs, as ``importlib.metadata`` knows it.
        run: Goes through it once, in an empty folder; its docstring is what the table says was run.
    """

    name: str
    package: str
    run: Callable[[Path], None]


DOORS: dict[str, Door] = {}


def door(name: str, package: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Enter a function as a door.

    Args:
        name: As the table names it.
        package: Distribution that it needs.
    """

    def enter(run: Callable[[Path], None]) -> Callable[[Path], None]:
        DOORS[name] = Door(name, package, run)
        return run

    return enter


def check_told(info: dict[str, Any]) -> None:
    """Hold the info of an episode's last step to what is promised of it."""
    share = info["episode_metrics"]["slo_attainment"]
    assert share != share or 0.0 <= share <= 1.0, share
