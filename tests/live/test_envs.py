"""Environments on real vLLM servers: an episode, and a policy that learns on."""

import asyncio
from pathlib import Path

import gymnasium
import torch

from maestro_gym.agents.fine_tune import fine_tune
from maestro_gym.agents.policy_file import load_network
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.envs.sb3 import BatchVecEnv
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.envs.live_batch import LiveBatch, LiveEnvOptions
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.metrics_page import EngineGauges
from maestro_gym.state import DONE_TIME
from tests.real_backend.contract import HANG_S
from tests.real_backend.policies import untrained_policy


def _scenario(fleet: LiveFleetConfig, folder: Path, horizon_s: float) -> Scenario:
    document = scenario_document(fleet, {"family": "live", "rate_rps": 2.0}, horizon_s=horizon_s, drain_s=120.0)
    return Scenario(write_scenario(document, folder / "scenario.yaml"))


async def _gauges(fleet: LiveFleetConfig) -> list[EngineGauges]:
    found = []
    for node in fleet.nodes:
        client = NodeClient(fleet, node.engines[0])
        found.append(await client.gauges())
        await client.close()
    return found


def test_an_episode_makes_tokens_and_its_end_aborts_what_still_runs(
    live_fleet: LiveFleetConfig, tmp_path: Path
) -> None:
    made = "vllm:generation_tokens_total"
    before = sum(gauges.counters[made] for gauges in asyncio.run(_gauges(live_fleet)))
    env = gymnasium.make(
        "maestro_gym:Maestro/Live-Cluster-v0",
        fleet=live_fleet,
        scenario=_scenario(live_fleet, tmp_path, 6.0),
        folder=tmp_path / "episodes",
    ).unwrapped
    env.reset(seed=0)
    truncated, steps = False, 0
    while not truncated:
        action = int(env.batch.own_answers()[0])
        *_, truncated, info = env.step(action)
        assert not info["invalid_action"]
        steps += 1
    env.close()
    assert info["end_reason"] == DONE_TIME
    assert steps > 2
    after = asyncio.run(_gauges(live_fleet))
    assert sum(gauges.counters[made] for gauges in after) > before

    async def idle() -> None:
        while any(gauges.running or gauges.waiting for gauges in await _gauges(live_fleet)):
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(idle(), HANG_S))


def test_a_policy_learns_on_real_servers(live_fleet: LiveFleetConfig, tmp_path: Path) -> None:
    options = LiveEnvOptions(fleet=live_fleet, scenario=_scenario(live_fleet, tmp_path, 30.0), folder=tmp_path / "run")
    env = BatchVecEnv(LiveBatch("cluster", options), seed=0)
    untrained_policy(tmp_path / "start", env)
    fine_tune(tmp_path / "start", env, tmp_path / "tuned", steps=32, rollout_steps=16, learning_rate=1e-3)
    env.close()
    before, after = (load_network(tmp_path / name)[1].state_dict() for name in ("start", "tuned"))
    assert any(not torch.equal(before[name], after[name]) for name in before)
