"""Where live fields come from: all of them are named, and a policy that needs an unknown one is refused by name."""

from pathlib import Path

import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config.live import load_fleet
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.sensitivity import heeded_fields
from maestro_gym.real_backend.control.sources import check_policy, field_sources
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.real_backend.vllm.capabilities import Capabilities
from maestro_gym.sim.batch import Simulation
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import controller_of, run
from tests.real_backend.stand_in import StandIn


def test_a_fleet_without_metrics_knows_nothing_of_used_memory() -> None:
    table = field_sources([Capabilities(metrics=True), Capabilities(metrics=False)])
    assert table["engines.kv_used_bytes"] == table["nodes.kv_used_bytes"] == "none"
    assert "none" not in field_sources([Capabilities(metrics=True)]).values()


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    folder = tmp_path_factory.mktemp("scenario")
    document = scenario_document(load_fleet("local_cpu"), {"family": "live", "load": 1.1}, horizon_s=30)
    return Scenario(write_scenario(document, folder / "scenario.yaml"))


def test_every_field_of_the_view_has_a_source(scenario: Scenario) -> None:
    arrays = Simulation(scenario.world, evaluation=True).state.visible._asdict()
    del arrays["world"]
    records = {f"{name}.{field}" for name, array in arrays.items() for field in array.dtype.names or ()}
    plain = {name for name, array in arrays.items() if array.dtype.names is None}
    table = field_sources()
    assert set(table) == records | plain | {"world"}
    assert set(table.values()) == {"books", "metric", "estimate"}


BLIND = field_sources([Capabilities(metrics=False)])


def test_a_policy_that_needs_an_unknown_field_is_refused_with_its_name(scenario: Scenario) -> None:
    with pytest.raises(MaestroError, match=r"Policy dynamo decides by `nodes.kv_used_bytes`"):
        check_policy(load_policy("dynamo", scenario), BLIND, scenario)


@pytest.mark.parametrize("name", ["round-robin", "maestro", "edf"])
def test_policies_that_do_not_need_it_run(name: str, scenario: Scenario) -> None:
    check_policy(load_policy(name, scenario), BLIND, scenario)


def test_an_oracle_is_refused(scenario: Scenario) -> None:
    with pytest.raises(MaestroError, match="true future"):
        check_policy(load_policy("oracle-srtf", scenario), field_sources(), scenario)


def test_asking_twice_leaves_no_trace(scenario: Scenario) -> None:
    """A policy with notes of its own goes on as if it had been asked once."""
    assert heeded_fields(load_policy("round-robin", scenario), scenario, ["nodes.kv_used_bytes"]) == []
    assert heeded_fields(load_policy("jsq", scenario), scenario, ["nodes.queue_len"]) == ["nodes.queue_len"]


def test_the_run_refuses_before_anything_is_sent(tmp_path: Path) -> None:
    with StandIn() as server, StandIn() as other:
        server.faults.metrics = False
        with pytest.raises(MaestroError, match="kv_used_bytes"):
            run(controller_of(fleet_of([server, other]), tmp_path, "dynamo"))
        assert len(server.bodies) == 1
