"""What every test gets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import gymnasium
import pytest


@pytest.fixture(autouse=True)
def _registry_as_found() -> Iterator[None]:
    """Undo what a test registers: beside version 1, Gymnasium warns of version 0 wherever another test makes one."""
    found = dict(gymnasium.registry)
    yield
    if gymnasium.registry != found:
        gymnasium.registry.clear()
        gymnasium.registry.update(found)
        sys.modules.pop("maestro_gym.v1", None)
