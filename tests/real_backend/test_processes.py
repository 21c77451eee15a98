"""Fleets whose servers are processes: brought up and down, and models that take turns by starting and ending them."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.fleet.local import bring_down, bring_up
from maestro_gym.real_backend.fleet.processes import fleet_folder, group_alive, read_notes
from maestro_gym.real_backend.fleet.status import fleet_rows
from tests.real_backend.contract import HANG_S
from tests.real_backend.runs import assert_nothing_lost, controller_of, log_of, run
from tests.real_backend.stand_in import StandIn

ROOT = Path(__file__).resolve().parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _fleet(engines: list[dict[str, Any]], *args: str) -> LiveFleetConfig:
    """One node whose servers are stand-ins in processes of their own."""
    document = load_fleet("local_cpu").model_dump(mode="json")
    first = document["models"][0]
    document["models"] = [first | {"name": engine["model"]} for engine in engines]
    nodes = document["clusters"][0]["hosts"][0]["nodes"]
    del nodes[1:]
    nodes[0]["engines"] = [{"url": f"http://127.0.0.1:{_free_port()}"} | engine for engine in engines]
    document["launch"] |= {
        "command": [sys.executable, "-m", "tests.real_backend.stand_in_program"],
        "env": {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        "args": list(args),
        "ready_s": HANG_S,
    }
    document["client"] |= {"scrape_s": 0.1}
    return LiveFleetConfig.model_validate(document)


def test_a_fleet_comes_up_once_and_goes_down_without_leftovers() -> None:
    fleet = _fleet([{"model": "mid"}])
    try:
        (note,) = bring_up(fleet, lambda _: None, trust=True)
        assert bring_up(fleet, lambda _: None, trust=True) == [note]
        (row,) = fleet_rows(fleet, probing=True)
        assert (row["residency"], row["pid"], row["running"]) == ("running", note.pid, 0)
        assert "metrics" in row["can"]
    finally:
        assert bring_down(fleet, lambda _: None) == 1
    assert not group_alive(note.pid)
    assert read_notes(fleet_folder(fleet)) == {}
    assert fleet_rows(fleet, probing=False)[0]["residency"] == "down"


def test_a_server_that_fails_shows_its_last_error_and_stops_the_others() -> None:
    fleet = _fleet([{"model": "mid"}, {"model": "other", "args": ["--fail"]}])
    with pytest.raises(MaestroError, match=r"ended while it started: ValueError: no such flag") as caught:
        bring_up(fleet, lambda _: None, trust=True)
    assert "logs" in str(caught.value)
    assert read_notes(fleet_folder(fleet)) == {}


def test_a_stranger_at_an_address_is_not_taken_for_the_fleets_server() -> None:
    with StandIn() as stranger:
        fleet = _fleet([{"model": "mid", "url": stranger.url}])
        with pytest.raises(MaestroError, match="did not start"):
            bring_up(fleet, lambda _: None, trust=True)


def test_models_take_turns_by_starting_and_ending_processes(tmp_path: Path) -> None:
    fleet = _fleet(
        [{"model": "mid", "residency": "process"}, {"model": "other", "residency": "process", "awake": False}]
    )
    try:
        bring_up(fleet, lambda _: None, trust=True)
        assert len(read_notes(fleet_folder(fleet))) == 1
        controller = run(controller_of(fleet, tmp_path, "maestro", rate_rps=2.0, horizon_s=2.0, trust=True))
        assert_nothing_lost(controller)
        kinds = [event["event"] for event in log_of(controller)]
        assert kinds.count("promoted") > 0
        assert kinds.count("demoted") > 0
        awake = {fleet.model_names[model] for model in range(2) if controller.fleet_state.awake(0, model)}
        assert {note.model for note in read_notes(fleet_folder(fleet)).values() if note.alive} == awake
    finally:
        bring_down(fleet, lambda _: None)
