"""The stand-in keeps the contract that a real server keeps (tests/live holds vLLM to the same)."""

from collections.abc import Iterator

import pytest

from maestro_gym.config.live import LiveFleetConfig
from tests.real_backend.conftest import fleet_of
from tests.real_backend.contract import Contract
from tests.real_backend.stand_in import StandIn


class TestStandIn(Contract):
    """All of it."""

    @pytest.fixture
    def fleet(self) -> Iterator[LiveFleetConfig]:
        # About as quick as the small model of the live tests: requests last long enough to be met while they run.
        with StandIn(step_s=0.004) as server:
            yield fleet_of([server])
