"""Whole episodes under one policy, without a return to Python between decisions."""

from __future__ import annotations

import time

import numpy as np

from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.outside import end_episode
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.reads import metric_tiers
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import DONE_NAMES, Episode, State, World
from maestro_gym.workloads import fold_seed

NO_AGENT = 0


def play(
    world: World,
    episode: Episode,
    policy: Policy,
    *,
    key: int = 0,
    warm: bool = True,
    placement: np.ndarray | None = None,
    samples: int = 0,
    drain: bool = True,
) -> Simulation:
    """Run an episode to its end.

    Args:
        world: The fleet.
        episode: What happens.
        policy: Who decides.
        key: Seed of randomised rules.
        warm: Begin with popular models RUNNING.
        placement: bool (N, M), models RUNNING at the start in place of the warm placement.
        samples: Rows of the time series to keep, one every ``limits.sample_period_s``.
        drain: Arrivals end at the horizon and the fleet drains up to the cap; False stops at the horizon.

    Returns:
        The simulation as it stands at the end.

    Raises:
        MaestroError: A rule that asks an agent in Python was answered with an exception.
    """
    simulation = Simulation(
        world,
        evaluation=drain,
        warm=warm,
        num_samples=samples,
        log_residency=samples > 0,
        placement=placement,
        metric_tiers=metric_tiers(policy),
    )
    simulation.load(0, episode, key=key)
    run_until(open_engine(simulation, policy), 0, NO_AGENT)
    simulation.state.core.counters["invalid_actions"][0] += end_episode(policy)
    return simulation


def result_of(
    state: State,
    scenario: Scenario,
    policy: Policy,
    episode: Episode,
    split: str,
    seed: int,
    index: int,
    wall_s: float,
    e: int = 0,
) -> EpisodeResult:
    """Gather what one environment of a batch left behind.

    Args:
        state: At the end of the episode.
        scenario: What ran.
        policy: Who decided.
        episode: What happened.
        split: Split of the episode.
        seed: Seed of the environment.
        index: Number of the episode.
        wall_s: Seconds of real time that it took.
        e: The environment.

    Returns:
        The log of the episode.
    """
    view, _, core = state
    return EpisodeResult(
        policy=policy.name,
        scenario=scenario.config.name,
        contention=scenario.config.contention or f"{scenario.rate_rps / scenario.capacity_rps:.2f}",
        split=split,
        seed=seed,
        index=index,
        episode=episode,
        stages=np.array(view.stages[e, : len(episode.stages)]),
        workflows=np.array(view.workflows[e, : len(episode.workflows)]),
        counters=core.counters[e].copy(),
        samples=np.array(core.samples[e, : core.env[e]["samples"]]),
        node_samples=np.array(core.node_samples[e, : core.env[e]["samples"]]),
        residency_log=np.array(core.residency_log[e, : core.residency_len[e]]),
        node_state_s=_node_state_s(state, e),
        node_busy_s=np.array(core.nodes[e]["busy_s"]),
        end_s=float(view.clock[e]["now_s"]),
        done=DONE_NAMES[core.env[e]["done"]],
        world=scenario.world,
        model_names=tuple(scenario.model_names),
        node_names=tuple(scenario.node_names),
        role_names=tuple(scenario.workload.role_names),
        wall_s=wall_s,
    )


def _node_state_s(state: State, e: int) -> np.ndarray:
    """Time that each node spent in each state, the one that it is in included; float64, shape (N, states)."""
    spent_s = np.array(state.core.node_state_s[e])
    nodes = state.visible.nodes[e]
    since_s = float(state.visible.clock[e]["now_s"]) - nodes["state_since_s"]
    spent_s[np.arange(len(nodes)), nodes["node_state"]] += since_s
    return spent_s


def run_episode(
    scenario: Scenario,
    policy: Policy,
    split: str = "test",
    seed: int = 0,
    index: int = 0,
    *,
    samples: int = 1024,
    episode: Episode | None = None,
    placement: np.ndarray | None = None,
    key: int | None = None,
    drain: bool = True,
) -> EpisodeResult:
    """Run one episode of a scenario to its end.

    Args:
        scenario: Fleet, workload and limits.
        policy: Who decides.
        split: ``train``, ``validation`` or ``test``.
        seed: Seed of the environment.
        index: Number of the episode.
        samples: Rows of the time series to keep, one every ``limits.sample_period_s``.
        episode: What happens, in place of the episode that split, seed and index name.
        placement: As in ``play``; None leaves it to the scenario.
        key: Seed of randomised rules; None takes that of the environment.
        drain: As in ``play``.

    Returns:
        The log of the episode.
    """
    if episode is None:
        episode = scenario.episode(split, seed, index)
    warm = scenario.config.workload.initial_placement == "warm"
    begin = time.perf_counter()
    key = fold_seed(seed) if key is None else key
    simulation = play(
        scenario.world, episode, policy, key=key, warm=warm, placement=placement, samples=samples, drain=drain
    )
    wall_s = time.perf_counter() - begin
    return result_of(simulation.state, scenario, policy, episode, split, seed, index, wall_s)
