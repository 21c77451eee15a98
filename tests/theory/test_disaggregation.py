"""What queueing theory knows of a pool that only prefills: prompts of one length at a constant rate are M/D/1.

    E[TTFT] = D + R * D^2 / (2 * (1 - R * D))

with D the time of a prompt's step and R the arrivals a second (Kingman; DistServe, OSDI 2024, equation 1).
"""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from tests.sim.conftest import Call, make_episode

PROMPT = 2048
"""As many tokens as a step may hold, so that a step is one prompt."""

JOBS = 40_000
BIG = 1e30


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_the_prefill_pool_is_m_d_1(load: float) -> None:
    scenario = Scenario.load(
        "toy",
        [
            "fleet.disaggregation.prefill_nodes=1",
            "limits.api_s=0.0",
            "fleet.local_latency_s=0.0",
            f"fleet.link_bytes_per_s={BIG}",
            "limits.node_queue_limit=inf",
            "limits.prefix_caching=false",
        ],
    )
    world = scenario.world
    world.params[0]["drain_cap_s"] = 1e9
    arch, hardware = world.models[0]["arch"], world.nodes[0]["hardware"]
    perf = world.perf[hardware, arch]
    step_s = world.step_s[hardware, arch, PROMPT] + world.sample_s[hardware, arch, 1] + perf["att_prefill_const_s"]
    step_s += perf["att_prefill_s_per_pair"] * PROMPT * PROMPT / 2
    rate_rps = load / step_s
    arrivals_s = np.random.default_rng(7).exponential(1.0 / rate_rps, JOBS).cumsum()
    simulation = Simulation(world, evaluation=True)
    simulation.load(0, make_episode([(float(at_s), [Call(PROMPT, 2)]) for at_s in arrivals_s]))
    run_until(open_engine(simulation, load_policy("fcfs", scenario)), 0, 0)
    rows = simulation.state.visible.stages[0, :JOBS]
    assert simulation.state.core.counters[0]["transfers"] == JOBS
    ttft_s = float(np.mean(rows["first_token_s"] - rows["ready_s"]))
    assert ttft_s == pytest.approx(step_s + rate_rps * step_s**2 / (2.0 * (1.0 - rate_rps * step_s)), rel=0.02)
