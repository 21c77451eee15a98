"""A live run again in the simulator."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from maestro_gym.baselines.registry import load_policy
from maestro_gym.cli.app import app
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.event_log import read_events
from maestro_gym.real_backend.control.run import LiveRunner
from maestro_gym.real_backend.validation.replay_run import logged_times, replay, scenario_of_run
from maestro_gym.scheduling.policy import Policy
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import short_scenario
from tests.real_backend.stand_in import StandIn


def live_run(servers: list[StandIn], folder: Path, **scale: float) -> tuple[LiveFleetConfig, Scenario, Policy, Path]:
    """A run of first come, first served: fleet, scenario, policy and the run's folder."""
    fleet = fleet_of(servers)
    scenario = short_scenario(fleet, folder, **scale)
    policy = load_policy("fcfs", scenario)
    LiveRunner(fleet, folder)(scenario, policy)
    return fleet, scenario, policy, folder / "live-fcfs-test-0"


def test_a_replay_serves_the_same_workflows_where_the_log_says(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet, scenario, policy, folder = live_run(two_servers, tmp_path, horizon_s=1.5)
    assert scenario_of_run(folder) == tmp_path / "scenario.yaml"
    rows, simulated = replay(folder, fleet, scenario, policy)
    assert [list(row) for row in rows] == [["measure", "live", "decided anew", "placed as logged"]] * len(rows)
    assert all(np.isfinite(value) and value >= 0 for row in rows for value in list(row.values())[1:])
    placed = simulated["placed as logged"]
    live = logged_times(list(read_events(folder / "events.jsonl")), len(placed.episode.stages), folder)
    assert np.mean(placed.stages["node"] == live["node"]) > 0.95
    finished = {row["measure"]: row["live"] for row in rows}
    assert finished["completion_s"] > finished["tpot_s"] > 0


def test_what_cannot_be_replayed_is_said(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet, scenario, policy, folder = live_run(two_servers, tmp_path, rate_rps=2.0)
    other = short_scenario(fleet, tmp_path / "other", rate_rps=9.0)
    with pytest.raises(MaestroError, match="Name the scenario that it ran on"):
        replay(folder, fleet, other, policy)
    lines = (folder / "events.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"finish"' not in line]
    (folder / "events.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(MaestroError, match="never finished"):
        replay(folder, fleet, scenario, policy)
    (tmp_path / "scenario.yaml").unlink()
    with pytest.raises(MaestroError, match="--scenario"):
        scenario_of_run(folder)
    result = CliRunner().invoke(app, ["replay", str(tmp_path / "nowhere")])
    assert result.exit_code != 0
