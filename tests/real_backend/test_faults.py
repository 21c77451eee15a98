"""Servers that die, hang, lie and refuse, and a controller that is killed: no workflow is lost or finished twice."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.real_backend.control.controller import Controller
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import assert_nothing_lost, controller_of, during, in_the_midst, log_of, run
from tests.real_backend.stand_in import StandIn


def impatient(fleet: LiveFleetConfig, **client: float) -> LiveFleetConfig:
    """The fleet with a client that waits less long."""
    return fleet.model_copy(update={"client": fleet.client.model_copy(update=client)})


@pytest.mark.parametrize("kind", ["drop", "garbage", "hang", "lie", "error", "busy"])
def test_one_kind_of_trouble_in_every_tenth_request(two_servers: list[StandIn], tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    for server in two_servers:
        server.faults.plan = lambda request_id: (
            None if request_id.startswith("probe") or chance.random() > 0.1 else (kind, chance.randrange(4))
        )
    controller = run(controller_of(impatient(fleet_of(two_servers), stall_s=0.5), tmp_path))
    assert_nothing_lost(controller)


def test_a_node_that_dies_and_comes_back(two_servers: list[StandIn], tmp_path: Path) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path, horizon_s=5.0)

    async def trouble() -> None:
        await asyncio.to_thread(two_servers[0].stop)
        while controller.servers[0].up:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(two_servers[0].start)

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
    async def trouble() -> None:
        await asyncio.to_thread(two_servers[1].stop)

    controller = during(controller_of(fleet_of(two_servers), tmp_path), trouble)
    assert_nothing_lost(controller)
    down_s = next(event["time_s"] for event in log_of(controller) if event["event"] == "down")
    later = [e for e in log_of(controller) if e["event"] == "finish" and e["time_s"] > down_s]
    assert {event["server"] for event in later} == {"n0/mid"}


def test_metrics_that_vanish_stop_nothing(two_servers: list[StandIn], tmp_path: Path) -> None:
    async def trouble() -> None:
        two_servers[0].faults.metrics = False

    controller = during(controller_of(fleet_of(two_servers), tmp_path), trouble)
    assert_nothing_lost(controller)
    assert [e["server"] for e in log_of(controller) if e["event"] == "metrics_lost"] == ["n0/mid"]
    assert not [e for e in log_of(controller) if e["event"] == "down"]


def test_a_server_that_comes_back_with_another_model_is_not_used(two_servers: list[StandIn], tmp_path: Path) -> None:
    async def trouble() -> None:
        await asyncio.to_thread(two_servers[0].stop)
        two_servers[0].model = "stranger"
        two_servers[0].finished_ids.clear()
        await asyncio.to_thread(two_servers[0].start)

    controller = during(controller_of(fleet_of(two_servers), tmp_path), trouble)
    assert_nothing_lost(controller)
    assert not [e for e in log_of(controller) if e["event"] == "up"]
    assert two_servers[0].finished_ids == []


def test_a_hung_health_page_takes_the_node_out(two_servers: list[StandIn], tmp_path: Path) -> None:
    async def trouble() -> None:
        for server in two_servers[:1]:
            server.faults.metrics = False
            server.faults.health_hangs = True
            server.faults.plan = lambda _: ("hang", 0)

    fleet = impatient(fleet_of(two_servers), control_s=0.2, first_token_s=1.0)
    controller = during(controller_of(fleet, tmp_path), trouble)
    assert_nothing_lost(controller)


def test_a_node_that_turns_slow_gets_less_to_do(two_servers: list[StandIn], tmp_path: Path) -> None:
    async def trouble() -> None:
        two_servers[0].step_s *= 25

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
        while sum(server.counters["rejections"] for server in two_servers) < 50:
            await asyncio.sleep(0.01)
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
    killed(controller_of(fleet, tmp_path, horizon_s=3.0))
    log = tmp_path / "events.jsonl"
    header, *events = log.read_text(encoding="utf-8").splitlines()
    first = json.loads(header)
    first["started_unix_s"] += ahead_s
    log.write_text("\n".join([json.dumps(first), *events]) + "\n", encoding="utf-8")
    second = run(controller_of(fleet, tmp_path, horizon_s=3.0, resume=True))
    assert_nothing_lost(second)
    times = [event["time_s"] for event in log_of(second)]
    assert times == sorted(times)


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
    first = killed(controller_of(fleet, tmp_path, horizon_s=3.0))
    log = tmp_path / "events.jsonl"
    before = sum(event["event"] == "finish" for event in log_of(first))
    assert 0 < before < len(first.episode.stages)
    # What a crash leaves of a line is no line.
    log.write_text(log.read_text(encoding="utf-8") + '{"event": "fini', encoding="utf-8")
    second = run(controller_of(fleet, tmp_path, horizon_s=3.0, resume=True))
    assert_nothing_lost(second)
    finished = [event["stage"] for event in log_of(second) if event["event"] == "finish"]
    assert sorted(finished) == list(range(len(second.episode.stages)))
    assert sum(event["event"] == "resume" for event in log_of(second)) == 1


def test_a_thousand_stages_under_random_faults(tmp_path: Path) -> None:
    chance = random.Random(4711)
    kinds = ("drop", "garbage", "lie", "error", "busy", "hang")

    def plan(request_id: str) -> tuple[str, int] | None:
        if request_id.startswith("probe") or chance.random() > 0.15:
            return None
        return chance.choice(kinds), chance.randrange(6)

    with StandIn() as one, StandIn() as two:
        servers = [one, two]
        for server in servers:
            server.faults.plan = plan
        fleet = impatient(fleet_of(servers), stall_s=0.3, first_token_s=1.0)
        controller = controller_of(fleet, tmp_path, rate_rps=50.0, horizon_s=7.0, drain_s=110.0)
        assert len(controller.episode.stages) > 1000

        async def trouble() -> None:
            for _ in range(4):
                victim = chance.choice(servers)
                await asyncio.to_thread(victim.stop)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(victim.start)
                await asyncio.sleep(0.7)

        during(controller, trouble, limit_s=120.0)
    assert_nothing_lost(controller)
    faults = [event for event in log_of(controller) if event["event"] == "fault"]
    assert len(faults) > 50
    assert len({event["error"].partition(":")[0] for event in faults}) >= 4
