"""The outages of an episode: planned ones, and those that the episode's key draws, the same for every policy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from maestro_gym.config import FleetConfig, hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.hashing import HOST_OUTAGE, NODE_OUTAGE, exponential
from maestro_gym.state import NO_OUTAGES, OUTAGE, World

_ALL_NODES = -1
_DRAWS = 1 << 24
"""Most draws of one place, so that no two places share one."""


def planned_outages(fleet: FleetConfig, world: World, hosts: tuple[str, ...], nodes: tuple[str, ...]) -> np.ndarray:
    """The outages that a scenario names.

    Args:
        fleet: The scenario's.
        world: The same as arrays.
        hosts: Names of its machines, by id.
        nodes: Names of its nodes, by id.

    Returns:
        OUTAGE, shape (2 * outages,), in the order of the scenario.

    Raises:
        MaestroError: One of them names a machine or a node that the fleet does not have.
    """
    rows = []
    for number, outage in enumerate(fleet.failures.outages if fleet.failures is not None else ()):
        name, known = (outage.host, hosts) if outage.host is not None else (outage.node, nodes)
        if name not in known:
            kind = "host" if outage.host is not None else "node"
            raise MaestroError(
                f"fleet.failures.outages.{number}: the fleet has no {kind} `{name}`. {hint(str(name), known)}"
            )
        place = known.index(name)
        host, node = (place, _ALL_NODES) if outage.host is not None else (int(world.nodes[place]["host"]), place)
        rows += _both_ends(host, node, outage.begin_s, outage.begin_s + outage.length_s)
    return np.array(rows, OUTAGE)


def outages_of(fleet: FleetConfig, world: World, planned: np.ndarray, key: int) -> np.ndarray:
    """All outages of an episode.

    Args:
        fleet: Whose laws they follow: up for an exponential time, down for another, beginning up.
        world: The same as arrays.
        planned: From `planned_outages`.
        key: Of the episode.

    Returns:
        OUTAGE, sorted by time, then by host and node, ends before beginnings.
    """
    failures = fleet.failures
    if failures is None:
        return NO_OUTAGES
    end_s = float(world.params[0]["drain_cap_s"])
    rows = []
    if failures.node_mtbf_s is not None:
        for node, host in enumerate(world.nodes["host"]):
            for begin_s, back_s in _alternating(
                key, NODE_OUTAGE, node, failures.node_mtbf_s, failures.node_mttr_s, end_s
            ):
                rows += _both_ends(int(host), node, begin_s, back_s)
    if failures.host_mtbf_s is not None:
        for host in range(len(world.hosts)):
            for begin_s, back_s in _alternating(
                key, HOST_OUTAGE, host, failures.host_mtbf_s, failures.host_mttr_s, end_s
            ):
                rows += _both_ends(host, _ALL_NODES, begin_s, back_s)
    drawn = np.concatenate([planned, np.array(rows, OUTAGE)])
    return drawn[np.lexsort((drawn["fails"], drawn["node"], drawn["host"], drawn["time_s"]))]


def _both_ends(host: int, node: int, begin_s: float, back_s: float) -> list[tuple[float, int, int, int]]:
    return [(begin_s, host, node, 1), (back_s, host, node, 0)]


def _alternating(
    key: int, purpose: int, place: int, mtbf_s: float, mttr_s: float, end_s: float
) -> Iterator[tuple[float, float]]:
    """Beginning and end of every outage of one place that begins before an end; an alternating renewal process."""
    time_s = 0.0
    for draw in range(place * _DRAWS, (place + 1) * _DRAWS, 2):
        begin_s = time_s + mtbf_s * exponential(key, purpose, draw)
        if begin_s >= end_s:
            return
        time_s = begin_s + mttr_s * exponential(key, purpose, draw + 1)
        yield begin_s, time_s
