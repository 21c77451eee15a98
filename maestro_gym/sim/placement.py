"""Where weights are when an episode begins, warm or cold: popularity-greedy (docs/physics.md, "Initial placement")."""

from __future__ import annotations

import numpy as np
from numba import types

from maestro_gym.core.compile import njit_as
from maestro_gym.scheduling.sizes import load_bytes
from maestro_gym.sim.index import begin_sets
from maestro_gym.sim.residency import take_hbm
from maestro_gym.sim.signals import begin_signals
from maestro_gym.state import CPU, DISK, DUTY_BOTH, ENGINE_AWAKE, ENGINE_FREE, REMOTE, State, World
from maestro_gym.state.types import BOXED_STATE

WEIGHT_SHARE = 0.6
"""Warm placement fills at most this share of a node's HBM pool with weights; the rest is for KV."""


def warm_placement(world: World) -> np.ndarray:
    """Choose which models are RUNNING on which node at the start.

    The model with the largest popularity per copy goes to the node with the most HBM left that does
    not have it, until none fits. First every model gets at most half the copies that its share of
    the stages is worth at full load, and at least one, so that rare models come to their turn; what
    is left goes to more copies. Where some nodes only prefill, every pool of every cluster is filled by itself, for a
    call needs its model in two of them.

    Args:
        world: The fleet.

    Returns:
        bool, shape (num_nodes, num_models).
    """
    placed = np.zeros((len(world.nodes), len(world.models)), bool)
    for pool in _pools(world):
        placed[pool] = _fill_pool(world, pool)
    return placed


def _pools(world: World) -> list[np.ndarray]:
    """Parts of the fleet that are filled by themselves, each bool, shape (N,)."""
    duties, clusters = world.nodes["duty"], world.nodes["cluster"]
    if np.all(duties == DUTY_BOTH):
        return [np.ones(len(duties), bool)]
    places = sorted(set(zip(clusters.tolist(), duties.tolist(), strict=True)))
    return [(clusters == cluster) & (duties == duty) for cluster, duty in places]


def _fill_pool(world: World, pool: np.ndarray) -> np.ndarray:
    """Which models run on each node of a part of the fleet; bool, shape (nodes of the part, M)."""
    params = world.params[0]
    num_nodes, num_models = int(pool.sum()), len(world.models)
    placed = np.zeros((num_nodes, num_models), bool)
    weight, barred = _taken_bytes(world)[pool], world.barred[pool]
    # A model too large for the share still fits alone on an empty node.
    alone = world.nodes["hbm_pool_bytes"][pool].astype(float)
    left = alone.copy() if params["partitioned"] else WEIGHT_SHARE * alone
    popularity = world.models["popularity"]
    on = world.nodes["begins_off"][pool] == 0
    modest = np.maximum(1, np.ceil(0.5 * on.sum() * popularity / popularity.sum()))
    for most in (modest, np.full(num_models, num_nodes)):
        open_models = np.ones(num_models, bool)
        while (open_models := open_models & (placed.sum(0) < most)).any():
            model = int(np.argmax(np.where(open_models, popularity / (placed.sum(0) + 1), -1.0)))
            empty = ~placed.any(1)
            fits = ((weight[:, model] <= left) | (empty & (weight[:, model] <= alone))) & ~placed[:, model]
            fits &= on & (barred[:, model] == 0)
            open_models[model] = fits.any()
            if fits.any():
                node = int(np.argmax(np.where(fits, left, -np.inf)))
                placed[node, model] = True
                left[node] -= weight[node, model]
    return placed


def all_fit(world: World) -> np.ndarray:
    """Tell on which nodes all models can be RUNNING at once.

    Args:
        world: The fleet.

    Returns:
        bool, shape (num_nodes,).
    """
    return np.where(world.barred == 0, _taken_bytes(world), 0.0).sum(1) <= world.nodes["hbm_pool_bytes"] * (1.0 + 1e-9)


def _taken_bytes(world: World) -> np.ndarray:
    """HBM that a RUNNING model takes beside KV, in whole partitions where there are any; float64 (N, M)."""
    params, pool = world.params[0], world.nodes["hbm_pool_bytes"]
    taken = world.perf["weight_bytes"][world.nodes["hardware"]][:, world.models["arch"]] + params["margin_bytes"]
    if params["partitioned"]:
        share = (pool / params["partitions"])[:, None]
        return np.ceil(taken / share + 1e-9) * share
    return taken


def host_tiers(world: World) -> np.ndarray:
    """Choose the tier of every model's weights on every host: CPU while DRAM lasts, then DISK, then REMOTE.

    A model that no node of a host may hold takes nothing there.

    Args:
        world: The fleet.

    Returns:
        int64, shape (num_hosts, num_models), in order of popularity on every host alike.
    """
    tiers = np.full((len(world.hosts), len(world.models)), REMOTE, np.int64)
    order = np.argsort(-world.models["popularity"], kind="stable")
    for host, spec in enumerate(world.hosts):
        nodes = np.flatnonzero(world.nodes["host"] == host)
        if not len(nodes):
            continue
        first = world.nodes[nodes[0]]
        size = world.perf["weight_bytes"][first["hardware"]][world.models["arch"]] * first["gpus"]
        barred = world.barred[nodes].all(axis=0)
        used = np.cumsum(np.where(barred, 0.0, size)[order])
        tiers[host, order] = np.where(used <= spec["nvme_bytes"], DISK, REMOTE)
        tiers[host, order[used <= min(spec["dram_bytes"], spec["nvme_bytes"])]] = CPU
        tiers[host, barred] = REMOTE
    return tiers


@njit_as(types.void(BOXED_STATE, types.int64, types.boolean[:, ::1]))
def start_running(state: State, e: int, placement: np.ndarray) -> None:
    """Make the models of a placement RUNNING in an environment, without any load time.

    Args:
        state: The batch.
        e: Environment, blank.
        placement: bool, shape (num_nodes, num_models).
    """
    view = state.visible
    for node in range(placement.shape[0]):
        for model in range(placement.shape[1]):
            if not placement[node, model]:
                continue
            slot = 0
            while view.engines[e, node, slot].status != ENGINE_FREE:
                slot += 1
            engine = view.engines[e, node, slot]
            need_bytes = load_bytes(view, e, node, model)
            engine.model = model
            engine.status = ENGINE_AWAKE
            view.slot_of[e, node, model] = slot
            take_hbm(state, e, node, slot, need_bytes)
    begin_sets(state, e)
    begin_signals(state, e)
