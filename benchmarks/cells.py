"""What `speed.py` measures: every cell steps the same stretch of an episode again, so that repeats compare.

What a decision costs depends on how long the queues are, so a rate without its stretch of simulated
time means little. Every cell begins its episodes anew, goes through the same decisions, and reports
the rate and the time that the stretch reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np

import maestro_gym  # noqa: F401 - registers the environments
from maestro_gym.baselines import load_policy
from maestro_gym.core.threads import set_thread_count
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until

SEED = 0
_NOISE_ROWS = 64


@dataclass(frozen=True)
class Measured:
    """One repeat of one cell.

    Attributes:
        decisions_per_s: of the agent; of all tiers where there is none.
        more: further numbers of the cell.
    """

    decisions_per_s: float
    more: dict[str, float]


def legal_noise(num_envs: int, num_actions: int) -> np.ndarray:
    """Precomputed priorities by which a random legal action is the largest of ``mask * noise``."""
    rng = np.random.default_rng(SEED)
    return rng.random((_NOISE_ROWS, num_envs, num_actions)) + 1e-3


class SingleCell:
    """One environment by ``gymnasium.make``, its checking wrapper left out."""

    def __init__(self, overrides: tuple[str, ...], decisions: int) -> None:
        """Make the environment and step it once, so that nothing is left to compile."""
        self.env: Any = gymnasium.make("Maestro/Cluster-v0", overrides=overrides, disable_env_checker=True)
        self.decisions = decisions
        self.env.reset(seed=SEED)
        self.noise = legal_noise(1, self.env.action_space.n)

    def measure(self) -> Measured:
        """Step the stretch; the choice of the action is not timed."""
        env, noise, spent_s = self.env, self.noise, 0.0
        _, info = env.reset(seed=SEED)
        for k in range(self.decisions):
            action = (info["action_mask"] * noise[k % _NOISE_ROWS, 0]).argmax()
            begin = perf_counter()
            _, _, terminated, truncated, info = env.step(action)
            spent_s += perf_counter() - begin
            if terminated or truncated:
                _, info = env.reset()
        return Measured(self.decisions / spent_s, {"reached_s": float(info["sim_time_s"])})


class VectorCell:
    """A native batch by ``gymnasium.make_vec``; episodes that end begin anew inside the timed call."""

    def __init__(self, overrides: tuple[str, ...], num_envs: int, threads: int, decisions: int) -> None:
        """Make the batch."""
        self.env: Any = gymnasium.make_vec("Maestro/Cluster-v0", num_envs=num_envs, overrides=overrides)
        self.num_envs, self.threads, self.decisions = num_envs, threads, decisions
        self.noise = legal_noise(num_envs, self.env.single_action_space.n)

    def measure(self) -> Measured:
        """Step the stretch in every environment; the choice of the actions is not timed."""
        set_thread_count(self.threads)
        try:
            env, spent_s = self.env, 0.0
            _, infos = env.reset(seed=SEED)
            for k in range(self.decisions):
                actions = (infos["action_mask"] * self.noise[k % _NOISE_ROWS]).argmax(axis=1)
                begin = perf_counter()
                _, _, _, _, infos = env.step(actions)
                spent_s += perf_counter() - begin
        finally:
            set_thread_count(None)
        rate = self.decisions * self.num_envs / spent_s
        return Measured(rate, {"reached_s": float(infos["sim_time_s"].mean())})


class EpisodeCell:
    """A whole episode with its drain in one compiled call, under the rules of a policy."""

    def __init__(self, overrides: tuple[str, ...], policy: str) -> None:
        """Compile the policy."""
        self.scenario = Scenario.load("quick", overrides)
        self.policy = load_policy(policy, self.scenario)

    def measure(self) -> Measured:
        """Run the episode; loading it is not timed."""
        simulation = Simulation(self.scenario.world, evaluation=True)
        simulation.load(0, self.scenario.episode("test", SEED, 0), key=SEED)
        engine = open_engine(simulation, self.policy)
        begin = perf_counter()
        run_until(engine, 0, 0)
        spent_s = perf_counter() - begin
        state = simulation.state
        return Measured(
            float(state.visible.clock[0]["decisions"]) / spent_s,
            {
                "reached_s": float(state.visible.clock[0]["now_s"]),
                "stages_per_s": float(state.core.counters[0]["stages_finished"]) / spent_s,
                "simulated_s_per_s": float(state.visible.clock[0]["now_s"]) / spent_s,
            },
        )


def start_times() -> dict[str, float]:
    """Seconds from the first import to the first observation after a step; call it in a fresh process."""
    begin = perf_counter()
    env: Any = gymnasium.make("Maestro/Cluster-v0", overrides=("contention=high",))
    made = perf_counter()
    _, info = env.reset(seed=SEED)
    began = perf_counter()
    env.step(int(np.flatnonzero(info["action_mask"])[0]))
    return {"make_s": made - begin, "reset_s": began - made, "step_s": perf_counter() - began}
