"""A real vLLM server keeps the contract that the controller relies on."""

import pytest

from maestro_gym.config.live import LiveFleetConfig
from tests.real_backend.contract import Contract


class TestVllm(Contract):
    """All of it."""

    @pytest.fixture
    def fleet(self, live_fleet: LiveFleetConfig) -> LiveFleetConfig:
        return live_fleet
