"""The live loop over stand-ins: the decisions of the policies, carried out, and accounts that hold."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.real_backend.control.run import LiveRunner
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import assert_nothing_lost, controller_of, log_of, run, short_scenario
from tests.real_backend.stand_in import StandIn


@pytest.mark.parametrize("policy", ["maestro", "fcfs", "edf", "srtf", "round-robin"])
def test_every_workflow_finishes_once_under_any_policy(two_servers: list[StandIn], tmp_path: Path, policy: str) -> None:
    controller = run(controller_of(fleet_of(two_servers), tmp_path, policy))
    assert_nothing_lost(controller)
    sent = [len(server.finished_ids) for server in two_servers]
    # Each server also saw the probe's own request.
    assert sum(sent) == len(controller.episode.stages) + 2
    assert min(sent) > 1


def test_the_servers_get_the_lengths_and_prefixes_of_the_workload(server: StandIn, tmp_path: Path) -> None:
    controller = run(controller_of(fleet_of([server]), tmp_path))
    episode = controller.episode
    bodies = [body for body in server.bodies if body["max_tokens"] != 2 or len(body["prompt"]) != 16]
    prompts = Counter(len(body["prompt"]) for body in bodies)
    limits = Counter(body["max_tokens"] for body in bodies)
    # A stage that the reclaim rule paused, as it may on a crowded machine, is sent again with what it has by then.
    assert prompts >= Counter(episode.stages["prompt_tokens"].tolist())
    assert limits >= Counter(episode.hidden["output_tokens"].tolist())
    hits = controller.fleet_state.view.stages["prefix_hit_tokens"][0]
    assert 0 < hits.sum() <= server.counters["hits"]
    if len(bodies) == len(episode.stages):
        assert hits.sum() == server.counters["hits"]


def test_a_live_run_has_the_metrics_of_a_simulated_one(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet = fleet_of(two_servers)
    scenario = short_scenario(fleet, tmp_path)
    result = LiveRunner(fleet, tmp_path)(scenario, load_policy("fcfs", scenario))
    row = result_row(result)
    assert result.done == "drained"
    assert row["unfinished"] == 0
    assert 0 < row["ttft_mean_s"] < row["completion_mean_s"]
    facts = json.loads((tmp_path / "live-fcfs-test-0" / "live.json").read_text())
    assert 0 < facts["decision_latency_s"]["p50"] <= facts["decision_latency_s"]["p99"]
    assert facts["stages_finished_twice"] == 0


def test_reservations_keep_to_the_pool_that_the_engine_holds(server: StandIn, tmp_path: Path) -> None:
    controller = run(controller_of(fleet_of([server]), tmp_path, horizon_s=2.0))
    unit = 8192.0
    # One block of the engine per sequence, less what the reservations had rounded up themselves.
    assert np.quantile(controller.engines.kv_excess_bytes, 0.9) <= 4 * 32 * unit
    pool = controller.fleet_state.view.engines["kv_pool_bytes"][0, 0].max()
    assert pool == (3136 - 4 * 16) * unit


def test_the_log_tells_the_whole_run(server: StandIn, tmp_path: Path) -> None:
    controller = run(controller_of(fleet_of([server]), tmp_path))
    events = log_of(controller)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "run"
    assert kinds[-1] == "end"
    assert kinds.count("finish") == len(controller.episode.stages)
    cut = [event for event in events if event["event"] in ("pause", "fault") and "stage" in event]
    assert kinds.count("send") == kinds.count("finish") + len(cut)
    assert kinds.count("arrive") == len(controller.episode.workflows)
    times = [event["time_s"] for event in events]
    assert times == sorted(times)
    assert {event["tier"] for event in events if event["event"] == "decision"} == {"global", "cluster", "node"}


def test_a_run_is_never_written_over(server: StandIn, tmp_path: Path) -> None:
    run(controller_of(fleet_of([server]), tmp_path, rate_rps=2.0))
    with pytest.raises(MaestroError, match="is there already"):
        run(controller_of(fleet_of([server]), tmp_path, rate_rps=2.0))


def test_a_policy_in_the_shadow_is_asked_and_does_not_act(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet = fleet_of(two_servers)
    shadow = load_policy("random", short_scenario(fleet, tmp_path))
    controller = run(controller_of(fleet, tmp_path, "fcfs", shadow=shadow))
    assert_nothing_lost(controller)
    answers = [(e["action"], e["shadow"]) for e in log_of(controller) if e["event"] == "decision"]
    assert any(action != other for action, other in answers)
    assert np.mean([action == other for action, other in answers]) > 0.1


def test_a_rule_that_is_never_legal_is_replaced_by_the_safe_policy(server: StandIn, tmp_path: Path) -> None:
    rule = tmp_path / "bad_rule.py"
    rule.write_text(
        "class Nowhere:\n"
        '    """Answers with a node that does not exist."""\n'
        "    tier = 'cluster'\n"
        "    information = 'N'\n"
        "    @staticmethod\n"
        "    def decide(view, oracle, e):\n"
        "        return 99\n",
        encoding="utf-8",
    )
    fleet = fleet_of([server])
    with pytest.warns(UserWarning, match="running the code"):
        policy = load_policy(f"{rule}:Nowhere", short_scenario(fleet, tmp_path))
    controller = run(controller_of(fleet, tmp_path, policy))
    assert_nothing_lost(controller)
    assert controller.fleet_state.policies.replaced
    decisions = [event for event in log_of(controller) if event["event"] == "decision"]
    assert [d["trouble"] for d in decisions if d.get("by") == "policy"] == ["illegal"] * 3
    assert decisions[-1]["by"] == "fallback"


def test_a_policy_that_is_late_again_and_again_is_replaced_by_the_safe_one(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However quick the machine is, no decision takes less than no time.
    monkeypatch.setattr("maestro_gym.real_backend.control.decide.LATE_S", -1.0)
    controller = run(controller_of(fleet_of([server]), tmp_path))
    assert_nothing_lost(controller)
    assert controller.fleet_state.policies.replaced
    decisions = [event for event in log_of(controller) if event["event"] == "decision"]
    # What was late is answered all the same, so it is used.
    assert [(d.get("by"), d["trouble"]) for d in decisions[:3]] == [("policy", "late")] * 3
    assert {(d["by"], d["trouble"]) for d in decisions[3:]} == {("fallback", "policy replaced")}


def test_a_fleet_that_does_not_answer_is_one_paragraph(server: StandIn, tmp_path: Path) -> None:
    fleet = fleet_of([server])
    server.stop()
    with pytest.raises(MaestroError, match="fleet up"):
        run(controller_of(fleet, tmp_path))


def test_a_workload_that_no_engine_can_hold_is_refused(tmp_path: Path) -> None:
    with StandIn(kv_tokens=192) as small, pytest.raises(MaestroError, match="has room for 128 KV tokens"):
        run(controller_of(fleet_of([small]), tmp_path))


def sleepy_fleet(servers: list[StandIn]) -> LiveFleetConfig:
    """One node with an engine of each of two models, of which one is awake."""
    document = fleet_of(servers[:1]).model_dump(mode="json")
    first = document["models"][0]
    document["models"] = [first, first | {"name": "other"}]
    node = document["clusters"][0]["hosts"][0]["nodes"][0]
    node["engines"] = [
        {"model": "mid", "url": servers[0].url, "launch": False, "residency": "sleep"},
        {"model": "other", "url": servers[1].url, "launch": False, "residency": "sleep", "awake": False},
    ]
    return LiveFleetConfig.model_validate(document)


@pytest.mark.parametrize("policy", ["maestro", "fcfs", "no-colocation"])
def test_models_take_turns_by_sleep_and_wake(tmp_path: Path, policy: str) -> None:
    with StandIn("mid") as one, StandIn("other") as two:
        controller = run(controller_of(sleepy_fleet([one, two]), tmp_path, policy, rate_rps=5.0, horizon_s=2.0))
        assert_nothing_lost(controller)
        kinds = [event["event"] for event in log_of(controller)]
        assert kinds.count("promoted") == kinds.count("promote") > 0
        assert kinds.count("demoted") == kinds.count("demote") > 0
        assert {len(one.finished_ids) > 1, len(two.finished_ids) > 0} == {True}
        # What the fleet state says of residency is what the servers say.
        awake = [controller.fleet_state.awake(0, model) for model in range(2)]
        assert awake == [not one._asleep, not two._asleep]
