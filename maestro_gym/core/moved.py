"""Modules that moved after the docs had taught their names: the old ones work for one more release, with a warning."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "maestro_gym.schema": "maestro_gym.state",
    "maestro_gym.policy": "maestro_gym.scheduling.policy",
    "maestro_gym.errors": "maestro_gym.core.errors",
    "maestro_gym.hashing": "maestro_gym.core.hashing",
    "maestro_gym.jit": "maestro_gym.core.compile",
    "maestro_gym.boxed": "maestro_gym.core.boxed",
    "maestro_gym.console": "maestro_gym.cli.console",
    "maestro_gym.sim.legal": "maestro_gym.scheduling.legal",
    "maestro_gym.sim.actions": "maestro_gym.scheduling.actions",
    "maestro_gym.sim.estimates": "maestro_gym.scheduling.estimates",
    "maestro_gym.sim.load_times": "maestro_gym.scheduling.load_times",
    "maestro_gym.sim.operators": "maestro_gym.performance.operators",
    "maestro_gym.sim.performance": "maestro_gym.performance.step_tables",
    "maestro_gym.sim.scenario": "maestro_gym.episodes.scenario",
    "maestro_gym.sim.world": "maestro_gym.episodes.world",
    "maestro_gym.sim.capacity": "maestro_gym.episodes.capacity",
    "maestro_gym.baselines.driver": "maestro_gym.episodes.run",
    "maestro_gym.baselines.result": "maestro_gym.episodes.result",
    "maestro_gym.baselines.measure": "maestro_gym.baselines.maestro.measure",
    "maestro_gym.evaluation.metric_docs": "maestro_gym.episodes.metrics.page",
    "maestro_gym.evaluation.metrics": "maestro_gym.episodes.metrics",
    "maestro_gym.evaluation.metrics.row": "maestro_gym.episodes.metrics.row",
    "maestro_gym.evaluation.metrics.define": "maestro_gym.episodes.metrics.define",
    "maestro_gym.evaluation.metrics.outcome": "maestro_gym.episodes.metrics.outcome",
    "maestro_gym.evaluation.metrics.page": "maestro_gym.episodes.metrics.page",
    "maestro_gym.agents.reward_scale": "maestro_gym.agents.ppo",
    "maestro_gym.real_backend.fields": "maestro_gym.real_backend.control.sources",
}
"""Old name to new name; remove with version 0.3."""

_NAMES_MOVED = {
    "maestro_gym.state": "maestro_gym.scheduling.tiers",
    "maestro_gym.scheduling.estimates": "maestro_gym.scheduling.sizes",
}
"""Where the rest of what an old module held is now, by the module that the larger part moved to."""


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module under its old name and hands out the new one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in MOVED:
            return None
        holds_others = any(name.startswith(f"{fullname}.") for name in MOVED)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=holds_others)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        new = MOVED[spec.name]
        # Frames of the import machinery do not count: this points at the import statement.
        warnings.warn(f"{spec.name} is now {new}", DeprecationWarning, stacklevel=2)
        module, old = importlib.import_module(new), ModuleType(spec.name, f"Deprecated name of ``{new}``.")
        rest = _NAMES_MOVED.get(new)
        for source in (importlib.import_module(rest) if rest else None, module):
            old.__dict__.update({k: v for k, v in vars(source or old).items() if not k.startswith("__")})
        return old

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the module is complete."""


def install() -> None:
    """Let the old names be found, behind everything that exists."""
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.append(_Alias())
