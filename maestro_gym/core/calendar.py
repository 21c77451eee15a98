"""Calendars: a time for each of many places, the earliest of them and those by an instant found without a scan.

A calendar is a complete binary tree whose cells hold the earliest time below them. So the earliest is at the root, a
change climbs to the first ancestor that it does not move, and the places of a time are met in order of their numbers
without a look at the others. The first cell is unused; the leaves are the second half.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit


def num_leaves(nodes: int) -> int:
    """Leaves of a calendar: the least power of two that has one for each node."""
    return 1 << max(0, nodes - 1).bit_length()


@njit
def put(tree: np.ndarray, node: int, time_s: float) -> None:
    """Write a node's time."""
    at = (tree.shape[0] >> 1) + node
    if tree[at] == time_s:
        return
    tree[at] = time_s
    while at > 1:
        at >>= 1
        earlier = min(tree[2 * at], tree[2 * at + 1])
        if tree[at] == earlier:
            return
        tree[at] = earlier


@njit
def look_up(tree: np.ndarray, node: int) -> float:
    """A node's time."""
    return float(tree[(tree.shape[0] >> 1) + node])


@njit
def earliest_s(tree: np.ndarray) -> float:
    """The earliest time of all nodes, inf when there is none."""
    return float(tree[1])


@njit
def next_node(tree: np.ndarray, first: int, until_s: float) -> int:
    """The lowest node from ``first`` on whose time is not after ``until_s``, -1 when there is none."""
    leaves = tree.shape[0] >> 1
    if first >= leaves or tree[1] > until_s:
        return -1
    at = leaves + first
    while tree[at] > until_s:
        # Up while it is a right child, then to the right.
        while at & 1 == 1:
            at >>= 1
            if at <= 1:
                return -1
        at += 1
    while at < leaves:
        at = 2 * at if tree[2 * at] <= until_s else 2 * at + 1
    return at - leaves
