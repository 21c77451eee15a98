"""An episode of one policy at whose every decision another policy is asked what it would have done.

Both read the same state at the same moment. The other's notes and numbers lie apart from those of the policy that
decides (`sim.engine.open_beside`), so that the episode goes on as if nobody had asked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from maestro_gym.core.compile import njit_as
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import result_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.kinds import kind_of, model_moved, stage_of
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.outside import end_episode
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import ALL_TIERS, NO_TIER
from maestro_gym.scheduling.view import now_s, num_nodes, num_ready
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import ENGINE, Engine, act, advance, ask, open_beside, open_engine
from maestro_gym.state import Episode
from maestro_gym.state.allocate import records
from maestro_gym.state.fields import Field, record
from maestro_gym.workloads import fold_seed

DECISION = record(
    Field("now_s", "f8", "s", "simulated time of the decision"),
    Field("tier", "i8", "code", "TIER_*"),
    Field("kind", "i8", "code", "how the two answers differ, a place in `kinds.KINDS`"),
    Field("stage", "i8", "id", "that the policy moves, -1 = none"),
    Field("other_stage", "i8", "id", "that the other would move, -1 = none"),
    Field("model", "i8", "id", "of the stage, else of the other's, else the one that is promoted; -1 = none"),
    Field("ready_per_node", "f8", "stages/node", "in the global queue: the backlog"),
    Field("stages_per_node", "f8", "stages/node", "sent to nodes and not finished: the load"),
)

_LOG_ROWS = 1 << 16
"""Decisions between two returns to Python, where Ctrl-C is heard."""


@njit_as(types.int64(ENGINE, ENGINE, types.Array(from_dtype(DECISION), 1, "C"), types.int64))
def run_asked(engine: Engine, other: Engine, log: np.ndarray, e: int) -> int:
    """Run an environment on, and ask another policy at every decision.

    Args:
        engine: The batch and the rules that decide.
        other: The same batch with the rules that are only asked.
        log: DECISION, a row for each decision.
        e: Environment.

    Returns:
        Rows written; fewer than the log has when the episode is over.
    """
    view = engine.state.visible
    for row in range(log.shape[0]):
        tier = advance(engine, e, ALL_TIERS)
        if tier == NO_TIER:
            return row
        mine, theirs = ask(engine, e, tier), ask(other, e, tier)
        entry = log[row]
        entry.now_s = now_s(view, e)
        entry.tier = tier
        entry.kind = kind_of(view, e, tier, mine, theirs)
        entry.stage = stage_of(view, e, tier, mine)
        entry.other_stage = stage_of(view, e, tier, theirs)
        model = model_moved(view, e, tier, mine)
        entry.model = model if model >= 0 else model_moved(view, e, tier, theirs)
        sent = 0
        for node in range(num_nodes(view)):
            sent += stages_at(view, e, node)
        entry.ready_per_node = num_ready(view, e) / num_nodes(view)
        entry.stages_per_node = sent / num_nodes(view)
        act(engine, e, tier, mine)
    return log.shape[0]


class AskedEpisode(NamedTuple):
    """An episode and every decision of it.

    Attributes:
        result: Of the policy that decided.
        decisions: DECISION, shape (decisions,).
    """

    result: EpisodeResult
    decisions: np.ndarray


def asked_episode(
    scenario: Scenario, policy: Policy, reference: Policy, split: str, seed: int, *, episode: Episode | None = None
) -> AskedEpisode:
    """Run an episode under a policy and ask a reference at every decision.

    Args:
        scenario: Fleet, workload and limits.
        policy: Who decides.
        reference: Who is asked.
        split: Split of the episode.
        seed: Seed of the environment.
        episode: That of split and seed, where it was drawn already.

    Returns:
        What the episode left behind, the same as without asking, and its decisions.

    Raises:
        MaestroError: A policy that decides in Python failed.
    """
    episode = episode or scenario.episode(split, seed, 0)
    warm = scenario.config.workload.initial_placement == "warm"
    simulation = Simulation(scenario.world, evaluation=True, warm=warm)
    simulation.load(0, episode, key=fold_seed(seed))
    engine, other = open_engine(simulation, policy), open_beside(simulation, reference)
    log = records((_LOG_ROWS,), DECISION)
    parts = []
    while True:
        rows = run_asked(engine, other, log, 0)
        parts.append(np.array(log[:rows]))
        if rows < _LOG_ROWS:
            break
    simulation.state.core.counters["invalid_actions"][0] += end_episode(policy)
    end_episode(reference)
    result = result_of(simulation.state, scenario, policy, episode, split, seed, 0, 0.0)
    return AskedEpisode(result, np.concatenate(parts))
