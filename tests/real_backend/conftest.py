import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from tests.real_backend.fault_proxy import FaultProxy
from tests.real_backend.stand_in import StandIn

# Long: a busy machine may be slow to answer. Tests that want something never answered say how long to wait for it.
PATIENCE = {"connect_s": 20.0, "first_token_s": 120.0, "stall_s": 60.0, "control_s": 20.0, "backoff_s": 0.01}


def fleet_of(servers: Sequence[StandIn | FaultProxy], **changes: Any) -> LiveFleetConfig:  # noqa: ANN401 - fields of the fleet
    """The shipped fleet file, its engines at the addresses of other servers; nobody launches them."""
    shipped = load_fleet("local_cpu")
    document = shipped.model_dump(mode="json")
    nodes = document["clusters"][0]["hosts"][0]["nodes"]
    for node, server in zip(nodes, servers, strict=False):
        node["engines"] = [{"model": server.model, "url": server.url, "launch": False}]
    del nodes[len(servers) :]
    document["client"] |= PATIENCE | {"scrape_s": 0.05, "backoff_max_s": 0.2, "breaker_open_s": 0.1}
    return LiveFleetConfig.model_validate(document | changes)


def impatient(fleet: LiveFleetConfig, **client: float) -> LiveFleetConfig:
    """The fleet with a client that waits less long."""
    return fleet.model_copy(update={"client": fleet.client.model_copy(update=client)})


@pytest.fixture(autouse=True)
def no_decision_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the acting policy in place on a machine that has too much else to do to decide in time."""
    monkeypatch.setattr("maestro_gym.real_backend.control.decide.LATE_S", math.inf)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with StandIn() as running:
        yield running


@pytest.fixture
def fleet(server: StandIn) -> LiveFleetConfig:
    return fleet_of([server])


@pytest.fixture
def two_servers() -> Iterator[list[StandIn]]:
    with StandIn() as one, StandIn() as other:
        yield [one, other]
