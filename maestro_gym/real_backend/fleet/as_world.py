"""The world of a fleet of servers: that of its scenario, with what each node really serves."""

from __future__ import annotations

import numpy as np

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.real_backend.control.moves import NOT_SERVED_BYTES
from maestro_gym.state import World


def fleet_world(world: World, fleet: LiveFleetConfig) -> World:
    """Give every node tables of its own, in which a model that it does not serve never fits.

    Args:
        world: The world of the fleet's scenario.
        fleet: The fleet file, which says which engines are on which node.

    Returns:
        The world; its arrays are copies.
    """
    arch, hardware = world.models["arch"], world.nodes["hardware"]
    nodes, models = world.nodes.copy(), world.models.copy()
    perf = world.perf[hardware][:, arch].copy()
    for row, node in enumerate(fleet.nodes):
        served = {engine.model for engine in node.engines}
        for column, name in enumerate(fleet.model_names):
            if name not in served:
                perf[row, column]["weight_bytes"] = NOT_SERVED_BYTES
    nodes["hardware"] = np.arange(len(nodes))
    models["arch"] = np.arange(len(models))
    return world._replace(
        nodes=nodes,
        models=models,
        perf=perf,
        step_s=np.ascontiguousarray(world.step_s[hardware][:, arch]),
        sample_s=np.ascontiguousarray(world.sample_s[hardware][:, arch]),
        decode=world.decode[hardware][:, arch].copy(),
    )


def live_world(world: World, scrape_s: float) -> World:
    """Take out of a fleet's world the times that the network and the servers spend themselves.

    Args:
        world: The world of the fleet, from ``fleet_world``.
        scrape_s: The greatest age of scraped fields.

    Returns:
        The world in which the live controller keeps its state.
    """
    params = world.params.copy()
    params["api_s"] = params["dispatch_s"] = 0.0
    params["metrics_delay_s"] = scrape_s
    return world._replace(params=params)


def initial_placement(fleet: LiveFleetConfig) -> np.ndarray:
    """Say which models are RUNNING when a run begins.

    Args:
        fleet: The fleet file.

    Returns:
        bool, shape (num_nodes, num_models).
    """
    placed = np.zeros((len(fleet.nodes), len(fleet.models)), bool)
    for row, node in enumerate(fleet.nodes):
        for engine in node.engines:
            placed[row, fleet.model_names.index(engine.model)] = engine.awake
    return placed
