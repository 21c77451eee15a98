"""Runs on real vLLM servers, with real trouble: signals, cut streams, a restart. What happened is read from counters
and from the event log, never from timing."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.run import live_facts
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.real_backend.fleet.local import bring_up
from maestro_gym.real_backend.fleet.processes import ServerNote, fleet_folder, read_notes
from maestro_gym.real_backend.vllm.client import NodeClient
from tests.live.proxy import Wire
from tests.real_backend.contract import HANG_S
from tests.real_backend.runs import assert_nothing_lost, during, log_of, run, until


def _controller(
    fleet: LiveFleetConfig, folder: Path, policy: str = "maestro", *, rate_rps: float = 1.0, horizon_s: float = 8.0
) -> Controller:
    workload = {"family": "live", "rate_rps": rate_rps}
    document = scenario_document(fleet, workload, horizon_s=horizon_s, drain_s=HANG_S)
    scenario = Scenario(write_scenario(document, folder / "scenario.yaml"))
    return Controller(RunSettings(fleet, scenario, folder), load_policy(policy, scenario))


def _note(fleet: LiveFleetConfig, node: int) -> ServerNote:
    return read_notes(fleet_folder(fleet))[fleet.nodes[node].engines[0].url]


async def _until_busy(controller: Controller, node: int) -> None:
    await until(lambda: bool(controller.fleet_state.running(node)))


@pytest.mark.parametrize("policy", ["fcfs", "maestro", "searched"])
def test_every_workflow_finishes_once(live_fleet: LiveFleetConfig, tmp_path: Path, policy: str) -> None:
    controller = run(_controller(live_fleet, tmp_path, policy))
    assert_nothing_lost(controller)
    facts = live_facts(controller)
    assert facts["stages_finished_twice"] == 0
    # Rounding may put the gauge above the reservations by one block of the engine per sequence.
    assert facts["kv_gauge_over_books_bytes"]["p90"] <= 4 * 32 * 8192
    hits = controller.fleet_state.view.stages["prefix_hit_tokens"][0]
    assert hits.sum() > 0


def test_streams_that_the_server_aborts_go_on_where_they_were(live_fleet: LiveFleetConfig, tmp_path: Path) -> None:
    controller = _controller(live_fleet, tmp_path, rate_rps=2.0)

    async def trouble() -> None:
        for node in range(2):
            client = NodeClient(live_fleet, live_fleet.nodes[node].engines[0])
            # Some end by themselves before their turn comes, so it is tried until one was caught in its midst.
            while not controller.servers[node].faults:
                for attempt in list(controller.traffic.attempts.values()):
                    if attempt.server.node == node and attempt.answer.output_tokens > 1:
                        await client.abort(controller.traffic.request_id(attempt))
                await asyncio.sleep(0.02)
            await client.close()

    during(controller, trouble)
    assert_nothing_lost(controller)
    events = log_of(controller)
    assert any(e["event"] == "fault" and "aborted by the server" in e["error"] for e in events)
    assert any(e["event"] == "send" and e.get("kept", 0) > 0 for e in events)


def test_cut_connections_lose_no_workflow(live_fleet: LiveFleetConfig, tmp_path: Path) -> None:
    ports = [node.engines[0].port for node in live_fleet.nodes]
    with Wire(ports[0]) as one, Wire(ports[1]) as two:
        document = live_fleet.model_dump(mode="json")
        for node, wire in zip(document["clusters"][0]["hosts"][0]["nodes"], (one, two), strict=True):
            node["engines"][0] |= {"url": f"http://127.0.0.1:{wire.port}", "launch": False}
        controller = _controller(LiveFleetConfig.model_validate(document), tmp_path, rate_rps=2.0)

        async def trouble() -> None:
            for node, wire in enumerate((one, two)):
                # A stream that has brought nothing yet is begun again without a word.
                while not controller.servers[node].faults:
                    await _until_busy(controller, node)
                    wire.cut()
                    await asyncio.sleep(0.1)

        during(controller, trouble)
    assert_nothing_lost(controller)
    faults = [event for event in log_of(controller) if event["event"] == "fault"]
    assert {event["server"] for event in faults} == {"n0/mid", "n1/mid"}


def test_a_stopped_server_is_left_and_taken_back(live_fleet: LiveFleetConfig, tmp_path: Path) -> None:
    impatient = live_fleet.client.model_copy(
        update={"control_s": 1.0, "stall_s": 1.5, "first_token_s": 3.0, "breaker_failures": 2}
    )
    fleet = live_fleet.model_copy(update={"client": impatient})
    controller = _controller(fleet, tmp_path, horizon_s=20.0)
    pid = _note(fleet, 0).pid

    async def trouble() -> None:
        await _until_busy(controller, 0)
        os.killpg(pid, signal.SIGSTOP)
        await until(lambda: not controller.servers[0].up)
        os.killpg(pid, signal.SIGCONT)
        await until(lambda: controller.servers[0].up)

    try:
        during(controller, trouble)
    finally:
        os.killpg(pid, signal.SIGCONT)
    assert_nothing_lost(controller)
    kinds = [(e["event"], e.get("server")) for e in log_of(controller)]
    assert ("down", "n0/mid") in kinds
    assert ("up", "n0/mid") in kinds


def test_a_killed_server_loses_no_workflow_and_serves_again_after_its_restart(
    live_fleet: LiveFleetConfig, tmp_path: Path
) -> None:
    # Long enough for a restart on a machine that has much else to do.
    controller = _controller(live_fleet, tmp_path, rate_rps=0.5, horizon_s=140.0)

    async def trouble() -> None:
        await _until_busy(controller, 1)
        os.killpg(_note(live_fleet, 1).pid, signal.SIGKILL)
        await until(lambda: not controller.servers[1].up)
        await asyncio.to_thread(bring_up, live_fleet, print)
        await until(lambda: controller.servers[1].up)

    try:
        during(controller, trouble)
    finally:
        bring_up(live_fleet, print)
    assert_nothing_lost(controller)
    events = log_of(controller)
    back_s = next(e["time_s"] for e in events if e["event"] == "up" and e["server"] == "n1/mid")
    later = [e for e in events if e["event"] == "finish" and e["time_s"] > back_s and e["server"] == "n1/mid"]
    assert later

    async def made() -> float:
        client = NodeClient(live_fleet, live_fleet.nodes[1].engines[0])
        gauges = await client.gauges()
        await client.close()
        return gauges.counters["vllm:generation_tokens_total"]

    # The counter began anew with the process, and holds what it served since.
    assert asyncio.run(made()) >= sum(e["tokens"] for e in later)
