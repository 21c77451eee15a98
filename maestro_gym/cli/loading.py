"""How the policies that a command line names are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maestro_gym.evaluation.worker import Runner


def runner_for(specs: Sequence[str], *, trust: bool) -> Runner | None:
    """Choose how policies are loaded: what comes from a file needs torch, whose import takes seconds; names do not.

    Args:
        specs: What names the policies.
        trust: Whether files that could run code are loaded.

    Returns:
        The runner; None where the evaluation's own will do.
    """
    if not any("/" in spec or "." in spec or Path(spec).is_dir() for spec in specs):
        return None
    from maestro_gym.agents.load import PolicyLoader
    from maestro_gym.evaluation.worker import Runner

    return Runner(load=PolicyLoader(trust))
