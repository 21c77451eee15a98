"""Conservation and capacity, in random scenarios, at random moments; the same run in every mode."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import Episode
from tests.sim.invariants import check_state

POLICIES = (
    "fcfs",
    "maestro",
    "static-max",
    "random",
    "no-colocation",
    "reject-late",
    "shed",
    "gateway+maestro",
    "tool-srtf",
    "distserve",
)


def prepare(overrides: list[str], stop_s: float, seed: int) -> tuple[Scenario, Episode]:
    """`toy` that ends at a moment, and an episode of it."""
    scenario = Scenario.load("toy", [f"horizon_s={max(1.0, stop_s * 0.7)}", "drain_s=0.0", *overrides])
    scenario.world.params[0]["drain_cap_s"] = stop_s
    return scenario, scenario.episode("test", seed, 0, may_be_empty=True)


def simulate(scenario: Scenario, episode: Episode, policy: str, seed: int) -> Simulation:
    """Run an episode under a policy."""
    warm = scenario.config.workload.initial_placement == "warm"
    simulation = Simulation(scenario.world, evaluation=True, warm=warm)
    simulation.load(0, episode, key=seed)
    run_until(open_engine(simulation, load_policy(policy, scenario)), 0, 0)
    return simulation


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policy=st.sampled_from(POLICIES),
    memory=st.sampled_from(["elastic", "partitioned"]),
    sharing=st.sampled_from(["timeslice", "mps"]),
    caching=st.booleans(),
    family=st.sampled_from(["toy", "maestro"]),
    load=st.floats(0.3, 4.0),
    queue_limit=st.integers(1, 12),
    admission=st.booleans(),
    tools=st.sampled_from([None, "{all: {places: 1}}", "{some: {places: 3, roles: ['*.*r']}}"]),
    failures=st.booleans(),
    scaling=st.booleans(),
    pools=st.booleans(),
    max_num_seqs=st.integers(1, 64),
    dram_gb=st.sampled_from([1, 60, 512]),
    placement=st.sampled_from(["warm", "cold"]),
    stop_s=st.floats(1.0, 150.0),
    seed=st.integers(0, 1000),
)
def test_nothing_is_lost_and_no_memory_is_overdrawn(
    policy: str,
    memory: str,
    sharing: str,
    caching: bool,
    family: str,
    load: float,
    queue_limit: int,
    admission: bool,
    tools: str | None,
    failures: bool,
    scaling: bool,
    pools: bool,
    max_num_seqs: int,
    dram_gb: int,
    placement: str,
    stop_s: float,
    seed: int,
) -> None:
    overrides = [
        f"limits.memory_mode={memory}",
        f"limits.gpu_sharing={sharing}",
        f"limits.prefix_caching={str(caching).lower()}",
        f"limits.admission={str(admission).lower()}",
        f"workload.family={family}",
        f"workload.load={load}",
        f"limits.node_queue_limit={queue_limit}",
        f"limits.max_num_seqs={max_num_seqs}",
        f"hosts.gpu2-512.dram_gb={dram_gb}",
        f"workload.initial_placement={placement}",
        "predictor.kind=noisy",
        *([] if tools is None else [f"workload.tools={tools}"]),
    ]
    overrides += ["fleet.failures.node_mtbf_s=40", "fleet.failures.host_mtbf_s=90"] if failures else []
    overrides += ["limits.autoscaling.period_s=5", "limits.autoscaling.start_s=8"] if scaling else []
    overrides += ["fleet.disaggregation.prefill_nodes=1"] if pools else []
    simulation = simulate(*prepare(overrides, stop_s, seed), policy, seed)
    check_state(simulation.state)
    assert simulation.state.core.counters[0]["invalid_actions"] == 0


def digest(simulation: Simulation) -> str:
    """Bits of everything that a run decides."""
    view, _, core = simulation.state
    parts = (view.stages, view.workflows, view.nodes, view.engines, core.counters, core.sequences)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


CASES = [
    (["workload.family=maestro", "workload.load=2.0", "predictor.kind=noisy"], "maestro"),
    (["limits.memory_mode=partitioned", "workload.load=1.5"], "fcfs"),
]


@pytest.mark.parametrize("disable_jit", ["1", "0"], ids=["interpreted", "compiled"])
def test_every_mode_and_process_gives_the_same_bits(disable_jit: str, tmp_path: Path) -> None:
    runs = [(*prepare(overrides, 25.0, 3), policy, 3) for overrides, policy in CASES]
    # What happens is made once: sampling a workload takes a minute without the compiler.
    (tmp_path / "runs.pickle").write_bytes(pickle.dumps(runs))
    code = (
        "import json, pickle, sys; from tests.sim.test_invariants import digest, simulate;"
        "print(json.dumps([digest(simulate(*run)) for run in pickle.load(open(sys.argv[1], 'rb'))]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "NUMBA_DISABLE_JIT": disable_jit}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "runs.pickle")],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [digest(simulate(*run)) for run in runs]


def test_a_fork_goes_its_own_way_and_a_snapshot_comes_back() -> None:
    scenario = Scenario.load("toy", ["workload.load=1.0"])
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("test", 0, 0))
    policy = load_policy("fcfs", scenario)
    # Stop at the first cluster decision, then go on twice.
    run_until(open_engine(simulation, policy), 0, 0b010)
    snapshot, fork = simulation.snapshot(), simulation.fork()
    before = digest(simulation)
    run_until(open_engine(fork, policy), 0, 0)
    assert digest(simulation) == before
    run_until(open_engine(simulation, policy), 0, 0)
    assert digest(simulation) == digest(fork) != before
    simulation.restore(snapshot)
    assert digest(simulation) == before
