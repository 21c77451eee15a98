"""Live runs over stand-ins, as the tests of the controller need them, and what must hold of every one."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.event_log import read_events
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.scheduling.policy import Policy
from maestro_gym.state import STAGE_FINISHED
from tests.real_backend.contract import HANG_S

SHORT = str(Path(__file__).with_name("short.yaml"))


def short_scenario(
    fleet: LiveFleetConfig, folder: Path, *, rate_rps: float = 40.0, horizon_s: float = 1.0, drain_s: float = HANG_S
) -> Scenario:
    """A second of short workflows on a fleet."""
    workload = {"family": SHORT, "rate_rps": rate_rps}
    document = scenario_document(fleet, workload, horizon_s=horizon_s, drain_s=drain_s)
    return Scenario(write_scenario(document, folder / "scenario.yaml"))


def controller_of(
    fleet: LiveFleetConfig,
    folder: Path,
    policy: str | Policy = "maestro",
    **options: Any,  # noqa: ANN401
) -> Controller:
    """A controller that is ready to run."""
    scale = {key: options.pop(key) for key in ("rate_rps", "horizon_s", "drain_s") if key in options}
    scenario = short_scenario(fleet, folder, **scale)
    loaded = load_policy(policy, scenario) if isinstance(policy, str) else policy
    return Controller(RunSettings(fleet, scenario, folder, **options), loaded)


def run(controller: Controller, limit_s: float = HANG_S) -> Controller:
    asyncio.run(asyncio.wait_for(controller.run(), limit_s))
    return controller


async def in_the_midst(controller: Controller, task: asyncio.Task[None]) -> None:
    """Wait until some stages are finished and others are not: by count, because no second is sure on a busy machine."""
    while not task.done() and (not controller.begun or len(controller.traffic.finishes) < 5):
        await asyncio.sleep(0.002)
    assert not task.done()
    assert len(controller.traffic.finishes) < len(controller.episode.stages)


async def until(state: Callable[[], bool]) -> None:
    """Wait for a state, however long the machine takes to reach it."""
    while not state():
        await asyncio.sleep(0.005)


def during(
    controller: Controller, trouble: Callable[[], Coroutine[Any, Any, None]], limit_s: float = HANG_S
) -> Controller:
    """Run, and make trouble in the midst of it; the trouble must be over before the run is."""

    async def main() -> None:
        async with asyncio.timeout(limit_s):
            task = asyncio.create_task(controller.run())
            await in_the_midst(controller, task)
            making = asyncio.create_task(trouble())
            await asyncio.wait({task, making}, return_when=asyncio.FIRST_COMPLETED)
            if not making.done():
                await task
                raise AssertionError("the run ended before the trouble was over")
            await making
            await task

    asyncio.run(main())
    return controller


def assert_nothing_lost(controller: Controller) -> None:
    """Every workflow is finished once, in the order of its graph, and the fleet state is empty."""
    episode = controller.episode
    view, _, core = controller.fleet_state.simulation.state
    stages = view.stages[0, : len(episode.stages)]
    assert controller.fleet_state.drained
    assert controller.traffic.finishes == dict.fromkeys(range(len(episode.stages)), 1)
    assert (stages["phase"] == STAGE_FINISHED).all()
    assert (stages["generated_tokens"] == episode.hidden["output_tokens"]).all()
    for name in ("ready_s", "sent_s", "queued_s", "admitted_s", "first_token_s", "finished_s"):
        assert np.isfinite(stages[name]).all(), name
    assert (stages["ready_s"] <= stages["sent_s"]).all()
    assert (stages["admitted_s"] <= stages["finished_s"]).all()
    for parent, row in enumerate(episode.hidden):
        for child in episode.children[row["child_start"] : row["child_start"] + row["num_children"]]:
            gap_s = stages["ready_s"][child] - stages["finished_s"][parent]
            assert gap_s >= row["tool_gap_s"] - 1e-6
    assert int(core.counters["finished"][0]) == len(episode.workflows)
    assert view.nodes["running"].sum() == 0
    assert view.nodes["queue_len"].sum() == 0
    own = view.engines["kv_reserved_bytes"] - view.engines["kv_pinned_bytes"]
    assert abs(own).max() < 1.0
    assert view.clock["global_len"][0] == 0


def log_of(controller: Controller) -> list[dict[str, Any]]:
    return list(read_events(controller.settings.folder / "events.jsonl"))
