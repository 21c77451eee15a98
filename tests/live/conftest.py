"""Real vLLM servers, brought up once for all tests of this folder; `make test-live` asks for them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.real_backend.fleet.local import bring_down, bring_up
from tests.real_backend.conftest import no_decision_is_late

__all__ = ["no_decision_is_late"]

ASKED = os.environ.get("MAESTRO_LIVE") == "1"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not ASKED:
        skip = pytest.mark.skip(reason="needs real vLLM servers: run `make test-live`")
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def live_fleet() -> Iterator[LiveFleetConfig]:
    fleet = load_fleet("local_cpu")
    bring_up(fleet, print)
    yield fleet
    if os.environ.get("MAESTRO_LIVE_KEEP") != "1":
        bring_down(fleet, print)
