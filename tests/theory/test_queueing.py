"""What queueing theory knows of one node, and the simulator must not contradict.

The tables of the world are replaced, so that a step costs what the theory needs:

- one sequence at a time, equal steps: a single server (M/M/1, M/D/1);
- a step that costs by its tokens alone: all running sequences share one server equally, token by
  token. Continuous batching then *is* processor sharing (M/G/1-PS);
- a step that costs the same whatever is in it: every stage is served as if alone (M/G/infinity).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from tests.sim.conftest import Call, make_episode

TOKEN_S = 0.01
MEAN_TOKENS = 60.0
JOBS = 3000
SEEDS = range(8)
WARM_UP = JOBS // 10


def scenario(max_num_seqs: int, *, cost_by_tokens: bool) -> Scenario:
    """One node, no network, and steps whose cost is their tokens or a constant."""
    scenario = Scenario.load(
        "toy",
        [
            "fleet.clusters.solo.hosts.0.nodes=1",
            "limits.api_s=0.0",
            "fleet.local_latency_s=0.0",
            "fleet.link_bytes_per_s=1.0e+30",
            f"limits.max_num_seqs={max_num_seqs}",
            "limits.prefix_caching=false",
            "limits.growth_s=0.0",
        ],
    )
    world = scenario.world
    for name in world.perf.dtype.names or ():
        if name.startswith("att_"):
            world.perf[name] = 0.0
    tokens = np.arange(world.step_s.shape[-1])
    world.step_s[:] = TOKEN_S * (tokens if cost_by_tokens else np.minimum(1, tokens))
    world.sample_s[:] = 0.0
    for name in world.decode.dtype.names or ():
        world.decode[name] = 0.0
    world.params[0]["drain_cap_s"] = 1e9
    return scenario


def simulate(scenario: Scenario, arrivals_s: np.ndarray, tokens: np.ndarray) -> Simulation:
    """Serve calls of one prompt token each, first come, first served."""
    # What was promised is what comes, so that no reservation grows.
    episode = make_episode([(float(a), [Call(1, int(n))]) for a, n in zip(arrivals_s, tokens, strict=True)])
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, episode)
    run_until(open_engine(simulation, load_policy("static-max", scenario)), 0, 0)
    return simulation


def draw(seed: int, load: float, law: str) -> tuple[np.ndarray, np.ndarray]:
    """Poisson arrivals, and output lengths of a law with a mean of 60 tokens."""
    rng = np.random.default_rng(seed)
    arrivals_s = rng.exponential(MEAN_TOKENS * TOKEN_S / load, JOBS).cumsum()
    tokens = {
        "exponential": lambda: np.maximum(1, np.ceil(rng.exponential(MEAN_TOKENS, JOBS))),
        "constant": lambda: np.full(JOBS, MEAN_TOKENS),
        "two": lambda: rng.choice([10.0, 410.0], JOBS, p=[0.875, 0.125]),
    }[law]()
    return arrivals_s, np.minimum(tokens, 1000)


def near(samples: list[float], expected: float) -> bool:
    """Whether the theory's value lies within four standard errors, and 2 % for whole tokens, of the mean."""
    error = float(np.std(samples, ddof=1)) / math.sqrt(len(samples))
    return abs(float(np.mean(samples)) - expected) < 4.0 * error + 0.02 * expected


@pytest.mark.parametrize(("law", "variation"), [("exponential", 1.0), ("constant", 0.0)], ids=["M/M/1", "M/D/1"])
@pytest.mark.parametrize("load", [0.5, 0.75])
def test_a_single_server_makes_stages_wait_as_long_as_theory_says(law: str, variation: float, load: float) -> None:
    node = scenario(1, cost_by_tokens=True)
    waits = []
    for seed in SEEDS:
        stages = simulate(node, *draw(seed, load, law)).state.visible.stages[0][WARM_UP:JOBS]
        waits.append(float(np.mean(stages["admitted_s"] - stages["ready_s"])))
    service_s = MEAN_TOKENS * TOKEN_S
    # Pollaczek and Khinchine.
    assert near(waits, load / (1 - load) * service_s * (1 + variation) / 2)


@pytest.mark.parametrize("law", ["exponential", "two"])
def test_continuous_batching_at_a_cost_by_token_is_processor_sharing(law: str) -> None:
    node, load = scenario(128, cost_by_tokens=True), 0.5
    stays = []
    for seed in SEEDS:
        stages = simulate(node, *draw(seed, load, law)).state.visible.stages[0][WARM_UP:JOBS]
        stays.append(float(np.mean(stages["finished_s"] - stages["ready_s"])))
    # Insensitive to the law of the lengths.
    assert near(stays, MEAN_TOKENS * TOKEN_S / (1 - load))


def test_steps_that_cost_the_same_serve_every_stage_as_if_alone() -> None:
    node = scenario(128, cost_by_tokens=False)
    arrivals_s, tokens = draw(0, 2.0, "exponential")
    stages = simulate(node, arrivals_s, tokens).state.visible.stages[0][:JOBS]
    stay_s = stages["finished_s"] - stages["ready_s"]
    # A stage joins at the next boundary: it waits for a part of one step.
    assert np.all(stay_s >= tokens * TOKEN_S - 1e-9)
    assert np.all(stay_s <= (tokens + 1) * TOKEN_S + 1e-9)


def test_littles_law_holds_on_every_path() -> None:
    for max_num_seqs in (1, 16):
        simulation = simulate(scenario(max_num_seqs, cost_by_tokens=True), *draw(3, 0.8, "exponential"))
        flows = simulation.state.visible.workflows[0][:JOBS]
        stays_s = float(np.sum(flows["weight"] * (flows["finished_s"] - flows["arrival_s"])))
        assert simulation.state.core.counters[0]["weighted_residence"] == pytest.approx(stays_s, rel=1e-9)


def test_work_is_conserved_whatever_the_discipline() -> None:
    arrivals_s, tokens = draw(5, 0.8, "exponential")
    # The server's backlog, by Lindley: when it is done does not depend on who is served first.
    free_s = 0.0
    for arrival_s, count in zip(arrivals_s, tokens, strict=True):
        free_s = max(free_s, arrival_s) + count * TOKEN_S
    for max_num_seqs in (1, 4, 128):
        state = simulate(scenario(max_num_seqs, cost_by_tokens=True), arrivals_s, tokens).state
        assert state.visible.stages[0]["finished_s"][:JOBS].max() == pytest.approx(free_s, abs=1e-6)
        assert state.core.counters[0]["busy_s"] == pytest.approx(tokens.sum() * TOKEN_S, rel=1e-9)
