"""Servers that die, hang, lie and refuse, and a controller that is killed: no workflow is lost or finished twice."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.real_backend.control.controller import Controller
from tests.real_backend.conftest import fleet_of, impatient
from tests.real_backend.contract import HANG_S
from tests.real_backend.fault_plans import PROOFS, FaultPlan
from tests.real_backend.runs import assert_nothing_lost, controller_of, during, in_the_midst, log_of, run, until
from tests.real_backend.stand_in import StandIn


@contextmanager
def refusing(*servers: StandIn) -> Iterator[None]:
    """Let servers refuse everything: the run cannot end while there is trouble, however slow the machine is."""
    for server in servers:
        server.faults.plan = lambda _: ("busy", 0)
    yield
    for server in servers:
        server.faults.plan = lambda _: None


@pytest.mark.parametrize("kind", ["drop", "garbage", "hang", "lie", "error", "busy"])
def test_one_kind_of_trouble_in_every_tenth_request(two_servers: list[StandIn], tmp_path: Path, kind: str) -> None:
    plan = FaultPlan(kind, (kind,), share=0.1, most_tokens=4)
    for server in two_servers:
        server.faults.plan = plan
    fleet = impatient(fleet_of(two_servers), stall_s=0.5, first_token_s=2.0)
    controller = run(controller_of(fleet, tmp_path))
    assert_nothing_lost(controller)
    assert len(plan.planned) > len(controller.episode.stages) // 20


def test_a_node_that_dies_and_comes_back(two_servers: list[StandIn], tmp_path: Path) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path, horizon_s=2.0)

    async def trouble() -> None:
        first = controller.servers[0]
        with refusing(two_servers[1]):
            await asyncio.to_thread(two_servers[0].stop)
            await until(lambda: not first.up)
            await asyncio.to_thread(two_servers[0].start)
            await until(lambda: first.up)
            before = first.finished
            await until(lambda: first.finished > before)

    during(controller, trouble)
    assert_nothing_lost(controller)
    events = log_of(controller)
    kinds = [(event["event"], event.get("server")) for event in events]
    assert ("down", "n0/mid") in kinds
    assert ("up", "n0/mid") in kinds
    back_s = next(event["time_s"] for event in events if event["event"] == "up")
    served = [e for e in events if e["event"] == "finish" and e["time_s"] > back_s and e["server"] == "n0/mid"]
    assert served


def test_a_node_that_dies_for_good_leaves_its_work_to_the_other(two_servers: list[StandIn], tmp_path: Path) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path)

    async def trouble() -> None:
        with refusing(two_servers[0]):
            await asyncio.to_thread(two_servers[1].stop)
            await until(lambda: not controller.servers[1].up)

    during(controller, trouble)
    assert_nothing_lost(controller)
    down_s = next(event["time_s"] for event in log_of(controller) if event["event"] == "down")
    later = [e for e in log_of(controller) if e["event"] == "finish" and e["time_s"] > down_s]
    assert {event["server"] for event in later} == {"n0/mid"}


def test_metrics_that_vanish_stop_nothing(two_servers: list[StandIn], tmp_path: Path) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path)

    async def trouble() -> None:
        with refusing(*two_servers):
            two_servers[0].faults.metrics = False
            await until(lambda: controller.servers[0].metrics_lost)

    during(controller, trouble)
    assert_nothing_lost(controller)
    assert [e["server"] for e in log_of(controller) if e["event"] == "metrics_lost"] == ["n0/mid"]
    assert not [e for e in log_of(controller) if e["event"] == "down"]


def test_a_server_that_comes_back_with_another_model_is_not_used(two_servers: list[StandIn], tmp_path: Path) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path)

    async def trouble() -> None:
        with refusing(two_servers[1]):
            await asyncio.to_thread(two_servers[0].stop)
            await until(lambda: not controller.servers[0].up)
            two_servers[0].model = "stranger"
            two_servers[0].finished_ids.clear()
            await asyncio.to_thread(two_servers[0].start)
            # It is asked which models it serves before it would be taken back.
            await until(lambda: "/v1/models" in two_servers[0].paths)

    during(controller, trouble)
    assert_nothing_lost(controller)
    assert not [e for e in log_of(controller) if e["event"] == "up"]
    assert two_servers[0].finished_ids == []


def test_a_hung_health_page_takes_the_node_out(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet = impatient(fleet_of(two_servers), control_s=1.0)
    controller = controller_of(fleet, tmp_path)

    async def trouble() -> None:
        with refusing(two_servers[1]):
            two_servers[0].faults.metrics = False
            two_servers[0].faults.silent = ("/health",)
            two_servers[0].faults.plan = lambda _: ("hang", 0)
            await until(lambda: not controller.servers[0].up)

    during(controller, trouble)
    assert_nothing_lost(controller)


def test_a_node_that_turns_slow_gets_less_to_do(two_servers: list[StandIn], tmp_path: Path) -> None:
    slow, quick = two_servers

    async def a_step_in_twenty_five() -> None:
        # Counted in steps of the other and not in seconds, in which a busy machine makes both slow.
        begun = quick.steps
        while quick.steps < begun + 25:
            await asyncio.sleep(slow.step_s)

    async def trouble() -> None:
        slow.pace = a_step_in_twenty_five

    controller = during(controller_of(fleet_of(two_servers), tmp_path, "jsq", rate_rps=10.0, horizon_s=3.0), trouble)
    assert_nothing_lost(controller)
    finishes = [event["server"] for event in log_of(controller) if event["event"] == "finish"]
    # The first few came while both were fast.
    assert finishes.count("n0/mid") < finishes.count("n1/mid")


def test_a_storm_of_refusals_is_waited_out(two_servers: list[StandIn], tmp_path: Path) -> None:
    storm = [True]

    async def trouble() -> None:
        for server in two_servers:
            server.faults.plan = lambda request_id: ("busy", 0) if storm[0] else None
        await until(lambda: sum(server.counters["rejections"] for server in two_servers) >= 50)
        storm[0] = False

    controller = during(controller_of(fleet_of(two_servers), tmp_path), trouble)
    assert_nothing_lost(controller)


@pytest.mark.parametrize("ahead_s", [86_400.0, -86_400.0])
def test_clocks_of_servers_mean_nothing(two_servers: list[StandIn], tmp_path: Path, ahead_s: float) -> None:
    two_servers[0].faults.clock_ahead_s = ahead_s
    controller = run(controller_of(fleet_of(two_servers), tmp_path))
    assert_nothing_lost(controller)
    end_s = log_of(controller)[-1]["time_s"]
    stages = controller.fleet_state.view.stages[0, : len(controller.episode.stages)]
    for name in ("ready_s", "sent_s", "admitted_s", "first_token_s", "finished_s"):
        assert (stages[name] >= 0.0).all()
        assert (stages[name] <= end_s).all()


@pytest.mark.parametrize("ahead_s", [7_200.0, -7_200.0])
def test_a_wall_clock_that_was_set_between_two_controllers_moves_no_time_back(
    two_servers: list[StandIn], tmp_path: Path, ahead_s: float
) -> None:
    fleet = fleet_of(two_servers)
    killed(controller_of(fleet, tmp_path, horizon_s=1.5))
    log = tmp_path / "events.jsonl"
    header, *events = log.read_text(encoding="utf-8").splitlines()
    first = json.loads(header)
    first["started_unix_s"] += ahead_s
    log.write_text("\n".join([json.dumps(first), *events]) + "\n", encoding="utf-8")
    second = run(controller_of(fleet, tmp_path, horizon_s=1.5, resume=True))
    assert_nothing_lost(second)
    times = [event["time_s"] for event in log_of(second)]
    assert times == sorted(times)


def test_a_wall_clock_that_is_set_back_in_the_midst_of_a_run_moves_no_time_back(
    two_servers: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path)
    wall = time.time

    async def trouble() -> None:
        with refusing(*two_servers):
            for hours in (1, 24, 240):
                monkeypatch.setattr(time, "time", lambda hours=hours: wall() - 3600.0 * hours)
                scraped = [server.scraped_s for server in controller.servers]
                await until(lambda earlier=scraped: _all_above([s.scraped_s for s in controller.servers], earlier))

    during(controller, trouble)
    assert_nothing_lost(controller)
    times = [event["time_s"] for event in log_of(controller)]
    assert times == sorted(times)
    assert times[-1] < HANG_S


def _all_above(now: list[float], earlier: list[float]) -> bool:
    return all(one > other for one, other in zip(now, earlier, strict=True))


def killed(controller: Controller) -> Controller:
    """Run, and cancel the run in the midst of it."""

    async def main() -> None:
        task = asyncio.create_task(controller.run())
        await in_the_midst(controller, task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    return controller


def test_a_killed_controller_goes_on_from_its_log(two_servers: list[StandIn], tmp_path: Path) -> None:
    fleet = fleet_of(two_servers)
    first = killed(controller_of(fleet, tmp_path, horizon_s=1.5))
    log = tmp_path / "events.jsonl"
    before = sum(event["event"] == "finish" for event in log_of(first))
    assert 0 < before < len(first.episode.stages)
    # What a crash leaves of a line is no line.
    log.write_text(log.read_text(encoding="utf-8") + '{"event": "fini', encoding="utf-8")
    second = run(controller_of(fleet, tmp_path, horizon_s=1.5, resume=True))
    assert_nothing_lost(second)
    finished = [event["stage"] for event in log_of(second) if event["event"] == "finish"]
    assert sorted(finished) == list(range(len(second.episode.stages)))
    assert sum(event["event"] == "resume" for event in log_of(second)) == 1


def test_a_thousand_stages_under_random_faults(tmp_path: Path) -> None:
    plan = FaultPlan(4711, list(PROOFS), share=0.15, most_tokens=6)
    victims = random.Random(4711).choices((0, 1), k=4)
    with StandIn() as one, StandIn() as two:
        servers = [one, two]
        for server in servers:
            server.faults.plan = plan
        fleet = impatient(fleet_of(servers), stall_s=0.5, first_token_s=2.0)
        controller = controller_of(fleet, tmp_path, rate_rps=100.0, horizon_s=3.5)
        outputs = controller.episode.hidden["output_tokens"]
        assert len(outputs) > 1000
        plan.force(np.flatnonzero(outputs > 4)[::20].tolist(), (tmp_path / "events.jsonl").read_text)
        plan.hold_back(len(outputs) - 1)

        async def trouble() -> None:
            for victim in victims:
                await asyncio.to_thread(servers[victim].stop)
                await until(lambda victim=victim: not controller.servers[victim].up)
                await asyncio.to_thread(servers[victim].start)
                await until(lambda victim=victim: controller.servers[victim].up)
            await until(plan.look)
            plan.let_go()

        during(controller, trouble)
    assert_nothing_lost(controller)
    events = log_of(controller)
    errors = [event["error"] for event in events if event["event"] == "fault" and "stage" in event]
    assert len(errors) > 50
    assert [kind for kind, words in PROOFS.items() if not any(words in error for error in errors)] == []
    assert sum(event["event"] == "down" for event in events) >= len(victims)
