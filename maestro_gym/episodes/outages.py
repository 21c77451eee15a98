"""The outages of an episode: planned ones, and those that the episode's key draws, the same for every policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from maestro_gym.config import FleetConfig, hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.hashing import HOST_OUTAGE, LINK_OUTAGE, NODE_OUTAGE, exponential
from maestro_gym.episodes.world import WorldNames
from maestro_gym.state import NO_OUTAGES, OUTAGE, World

_Row = tuple[float, int, int, int, int, int]
"""Of OUTAGE."""

_NONE = -1
_DRAWS = 1 << 24
"""Most draws of one place, so that no two places share one."""


def planned_outages(fleet: FleetConfig, world: World, names: WorldNames) -> np.ndarray:
    """The outages that a scenario names.

    Args:
        fleet: The scenario's.
        world: The same as arrays.
        names: Of its clusters, machines and nodes, by id.

    Returns:
        OUTAGE, shape (2 * outages,), in the order of the scenario.

    Raises:
        MaestroError: One of them names a place that the fleet does not have.
    """
    rows = []
    for number, outage in enumerate(fleet.failures.outages if fleet.failures is not None else ()):
        begin_s, back_s = outage.begin_s, outage.begin_s + outage.length_s
        where = f"fleet.failures.outages.{number}"
        if outage.link is not None:
            cluster, other = (_place(where, "cluster", name, names.clusters) for name in outage.link)
            rows += _link_outage(cluster, other, begin_s, back_s)
        elif outage.host is not None:
            rows += _outage(_place(where, "host", outage.host, names.hosts), _NONE, begin_s, back_s)
        else:
            node = _place(where, "node", str(outage.node), names.nodes)
            rows += _outage(int(world.nodes[node]["host"]), node, begin_s, back_s)
    return np.array(rows, OUTAGE)


def _place(where: str, kind: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise MaestroError(f"{where}: the fleet has no {kind} `{name}`. {hint(name, known)}")
    return known.index(name)


def outages_of(fleet: FleetConfig, world: World, planned: np.ndarray, key: int) -> np.ndarray:
    """All outages of an episode.

    Args:
        fleet: Whose laws they follow: up for an exponential time, down for another, beginning up.
        world: The same as arrays.
        planned: From `planned_outages`.
        key: Of the episode.

    Returns:
        OUTAGE, sorted by time, then by host, node and link, ends before beginnings.
    """
    failures = fleet.failures
    if failures is None:
        return NO_OUTAGES
    end_s = float(world.params[0]["drain_cap_s"])
    rows = []
    if failures.node_mtbf_s is not None:
        law = failures.node_mtbf_s, failures.node_mttr_s, end_s
        for node, host in enumerate(world.nodes["host"]):
            for begin_s, back_s in _alternating(key, NODE_OUTAGE, node, *law):
                rows += _outage(int(host), node, begin_s, back_s)
    if failures.host_mtbf_s is not None:
        law = failures.host_mtbf_s, failures.host_mttr_s, end_s
        for host in range(len(world.hosts)):
            for begin_s, back_s in _alternating(key, HOST_OUTAGE, host, *law):
                rows += _outage(host, _NONE, begin_s, back_s)
    if failures.link_mtbf_s is not None:
        law = failures.link_mtbf_s, failures.link_mttr_s, end_s
        for link, (cluster, other) in enumerate(combinations(range(len(world.latency_s)), 2)):
            for begin_s, back_s in _alternating(key, LINK_OUTAGE, link, *law):
                rows += _link_outage(cluster, other, begin_s, back_s)
    drawn = np.concatenate([planned, np.array(rows, OUTAGE)])
    return drawn[np.lexsort([drawn[name] for name in ("fails", "other", "cluster", "node", "host", "time_s")])]


def _outage(host: int, node: int, begin_s: float, back_s: float) -> list[_Row]:
    return [(begin_s, host, node, 1, _NONE, _NONE), (back_s, host, node, 0, _NONE, _NONE)]


def _link_outage(cluster: int, other: int, begin_s: float, back_s: float) -> list[_Row]:
    return [(begin_s, _NONE, _NONE, 1, cluster, other), (back_s, _NONE, _NONE, 0, cluster, other)]


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
