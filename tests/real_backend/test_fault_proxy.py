"""The fault proxy changes nothing unless it is to, and then exactly what the stand-in does to its own answers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.config.live import LiveFleetConfig
from tests.real_backend.conftest import fleet_of, impatient
from tests.real_backend.contract import Contract
from tests.real_backend.fault_plans import PROOFS, FaultPlan
from tests.real_backend.fault_proxy import FaultProxy
from tests.real_backend.runs import assert_nothing_lost, controller_of, log_of, run
from tests.real_backend.stand_in import StandIn


class TestForwarded(Contract):
    """All of what the controller relies on in a server."""

    @pytest.fixture
    def fleet(self) -> Iterator[LiveFleetConfig]:
        with StandIn(step_s=0.004) as server, FaultProxy(server.url) as proxy:
            yield fleet_of([proxy])


def test_every_kind_of_fault_is_met_and_nothing_is_lost(two_servers: list[StandIn], tmp_path: Path) -> None:
    plan = FaultPlan(7, list(PROOFS), share=0.1, most_tokens=4)
    with FaultProxy(two_servers[0].url) as one, FaultProxy(two_servers[1].url) as two:
        for proxy in (one, two):
            proxy.faults.plan = plan
        fleet = impatient(fleet_of([one, two]), stall_s=0.5, first_token_s=2.0)
        controller = controller_of(fleet, tmp_path)
        outputs = controller.episode.hidden["output_tokens"]
        plan.force(np.flatnonzero(outputs > 4).tolist(), (tmp_path / "events.jsonl").read_text)
        run(controller)
    assert_nothing_lost(controller)
    errors = [event["error"] for event in log_of(controller) if event["event"] == "fault" and "stage" in event]
    assert [kind for kind, words in PROOFS.items() if not any(words in error for error in errors)] == []
