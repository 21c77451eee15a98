from __future__ import annotations

import pytest

from maestro_gym.episodes.scenario import Scenario

OVERRIDES = ("contention=high", "horizon_s=20", "drain_s=60")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("toy", OVERRIDES)
