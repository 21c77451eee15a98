"""Where weights are when an episode begins (design 4): popularity-greedy, warm or cold."""

from __future__ import annotations

import numpy as np

from maestro_gym.schema import CPU, DISK, REMOTE, World

WEIGHT_SHARE = 0.6
"""Warm placement fills at most this share of a node's HBM pool with weights; the rest is for KV."""


def warm_placement(world: World) -> np.ndarray:
    """Choose which models are RUNNING on which node at the start.

    The model with the largest popularity per copy goes to the node with the most HBM left that does
    not have it, until none fits.

    Args:
        world: the fleet.

    Returns:
        bool, shape (num_nodes, num_models).
    """
    params = world.params[0]
    num_nodes, num_models = len(world.nodes), len(world.models)
    placed = np.zeros((num_nodes, num_models), bool)
    hardware = world.nodes["hardware"]
    weight = world.perf["weight_bytes"][hardware][:, world.models["arch"]] + params["margin_bytes"]
    left = WEIGHT_SHARE * world.nodes["hbm_pool_bytes"].astype(float)
    # A model too large for the share still fits alone on an empty node.
    alone = world.nodes["hbm_pool_bytes"].astype(float)
    open_models = np.ones(num_models, bool)
    if params["partitioned"]:
        share = alone / params["partitions"]
        weight = np.ceil(weight / share[:, None] + 1e-9) * share[:, None]
        left = alone.copy()
    while open_models.any():
        score = np.where(open_models, world.models["popularity"] / (placed.sum(0) + 1), -1.0)
        model = int(np.argmax(score))
        empty = ~placed.any(1)
        fits = ((weight[:, model] <= left) | (empty & (weight[:, model] <= alone))) & ~placed[:, model]
        if not fits.any():
            open_models[model] = False
            continue
        node = int(np.argmax(np.where(fits, left, -np.inf)))
        placed[node, model] = True
        left[node] -= weight[node, model]
    return placed


def host_tiers(world: World) -> np.ndarray:
    """Choose the tier of every model's weights on every host: CPU while DRAM lasts, then DISK, then REMOTE.

    Args:
        world: the fleet.

    Returns:
        int64, shape (num_hosts, num_models), in order of popularity on every host alike.
    """
    tiers = np.full((len(world.hosts), len(world.models)), REMOTE, np.int64)
    order = np.argsort(-world.models["popularity"], kind="stable")
    for host, spec in enumerate(world.hosts):
        nodes = np.flatnonzero(world.nodes["host"] == host)
        if not len(nodes):
            continue
        hardware = world.nodes["hardware"][nodes[0]]
        size = world.perf["weight_bytes"][hardware][world.models["arch"]] * spec["gpus_per_node"]
        used = np.cumsum(size[order])
        tiers[host, order] = np.where(used <= spec["nvme_bytes"], DISK, REMOTE)
        tiers[host, order[used <= min(spec["dram_bytes"], spec["nvme_bytes"])]] = CPU
    return tiers
