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
from maestro_gym.evaluation.report.chrome_trace import chrome_trace
from maestro_gym.evaluation.watch.document import watch_document
from maestro_gym.real_backend.control.event_log import read_events
from maestro_gym.real_backend.control.run import LiveRunner
from maestro_gym.real_backend.validation.logged_trace import has_ended, trace_of_log
from maestro_gym.real_backend.validation.replay_run import logged_times, replay, scenario_of_run
from maestro_gym.scheduling.policy import Policy
from tests.evaluation.trace_event_rules import violations
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


def test_an_event_log_is_a_trace_of_what_the_servers_did(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet, scenario, _, folder = live_run(two_servers, tmp_path, horizon_s=1.5)
    log = folder / "events.jsonl"
    trace = trace_of_log(folder, fleet, scenario)
    finishes = [event for event in read_events(log) if event["event"] == "finish"]
    assert len(trace.ran) == len(trace.stages) == len(finishes) > 0
    for event in finishes:
        stage = trace.stages[event["stage"]]
        assert (stage["finished_s"], stage["generated_tokens"]) == (event["time_s"], event["tokens"])
        assert stage["node"] == event["times"]["node"]
    assert np.isfinite(trace.workflows["finished_s"]).all()
    assert violations(chrome_trace(trace)) == []

    cut = [line for line in log.read_text().splitlines() if f'"stage": {finishes[-1]["stage"]},' not in line]
    server = f"{fleet.nodes[0].name}/{fleet.nodes[0].engines[0].model}"
    cut += [
        f'{{"event": "{kind}", "time_s": {time_s}, "server": "{server}"}}'
        for kind, time_s in (("demote", 90.0), ("demoted", 90.5), ("promote", 91.0), ("promoted", 92.0), ("end", 95.0))
    ]
    log.write_text("\n".join(cut) + "\n")
    document = chrome_trace(trace_of_log(folder, fleet, scenario))
    assert violations(document) == []
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert sum(event["cat"] == "stage" for event in slices) == len(finishes) - 1
    spans = [(e["name"], e["ts"] / 1e6) for e in slices if e["cat"] == "residency" and e["pid"] == 10 and e["ts"] > 8e7]
    assert spans[-1] == ("awake", 92.0)
    assert spans[-2][1] == 91.0
    assert spans[-2][0] in ("wake", "load from cpu")
    assert sum(not e["args"]["finished"] for e in document["traceEvents"] if e["ph"] == "b") == 1

    assert has_ended(folder)
    whole = log.read_text()
    sent = [number for number, line in enumerate(whole.splitlines()) if '"event": "send"' in line][-1]
    log.write_text("\n".join(whole.splitlines()[: sent + 1]) + "\n")
    assert not has_ended(folder)
    going = trace_of_log(folder, fleet, scenario)
    event = list(read_events(log))[-1]
    stage = going.stages[event["stage"]]
    servers = [f"{node.name}/{engine.model}" for node in fleet.nodes for engine in node.engines]
    assert (stage["running"], stage["admitted_s"]) == (True, event["time_s"])
    assert (len(servers), servers[stage["node"]]) == (2, event["server"]), "a server a node"
    assert event["stage"] in going.ran
    watched = watch_document([going], following=True)["episodes"][0]["stages"]
    assert watched["admitted_s"][event["stage"]] == pytest.approx(event["time_s"], abs=1e-3)
    assert watched["finished_s"][event["stage"]] is None
    log.write_text(whole)

    log.write_text(log.read_text().replace(f'"server": "{server}"', '"server": "nobody/nothing"'))
    with pytest.raises(MaestroError, match="name the run's fleet"):
        trace_of_log(folder, fleet, scenario)
