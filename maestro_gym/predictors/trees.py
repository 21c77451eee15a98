"""Boosted trees as plain arrays: what predictions need of a fitted model, without the library that fitted it.

Arrays can be kept in a file that holds nothing but numbers; a pickled model could run code when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.workloads import by_name

LEAF, NUMBER, CATEGORY = range(3)

NODE = np.dtype(
    [
        ("threshold", "f8"),  # NUMBER: at or below goes left
        ("value", "f8"),  # of a leaf
        ("column", "i4"),
        ("left", "i4"),  # node
        ("right", "i4"),
        ("bits", "i4"),  # CATEGORY: first word of its set of codes that go left
        ("kind", "i4"),
        ("nan_left", "i4"),
    ]
)

CODES = 256
"""Categorical codes are whole numbers below it."""
WORDS = CODES // 32

_ROWS = 256  # rows that pass through all trees while both stay in the cache


class Ensemble(NamedTuple):
    """A sum of trees.

    Attributes:
        start: float64, shape (1,): what the trees are added to.
        roots: int64, shape (trees,), nodes.
        nodes: NODE, shape (nodes,), parents before children.
        bits: uint32, shape (words,): sets of codes, WORDS words each.
    """

    start: np.ndarray
    roots: np.ndarray
    nodes: np.ndarray
    bits: np.ndarray

    def evaluate(self, table: np.ndarray) -> np.ndarray:
        """Add up the trees.

        Args:
            table: float64, shape (S, columns), C-contiguous; nan is missing.

        Returns:
            float64, shape (S,).
        """
        sums = np.full(len(table), self.start[0])
        _add_trees(self.roots, by_name(self.nodes), self.bits, table, sums)
        return sums

    def fault(self, num_columns: int) -> str | None:
        """Say what is wrong with it, so that compiled code, which checks no bounds, is only given what holds.

        Args:
            num_columns: Columns of the table that it will read.

        Returns:
            A phrase; None when all is well.
        """
        nodes, count = self.nodes, len(self.nodes)
        inner = nodes[nodes["kind"] != LEAF]
        here = np.flatnonzero(nodes["kind"] != LEAF)
        if self.start.shape != (1,) or nodes.dtype != NODE or self.bits.dtype != np.uint32:
            return "arrays of another kind"
        if np.any((self.roots < 0) | (self.roots >= count)):
            return "a tree without root"
        for side in ("left", "right"):
            # Children behind their parents: every walk ends.
            if np.any((inner[side] <= here) | (inner[side] >= count)):
                return "a branch that leads nowhere"
        if np.any((inner["column"] < 0) | (inner["column"] >= num_columns)):
            return "a column that does not exist"
        sets = inner["bits"][inner["kind"] == CATEGORY]
        if np.any((sets < 0) | (sets + WORDS > len(self.bits))):
            return "a set of codes that does not exist"
        return None


@njit
def _add_trees(roots: np.ndarray, nodes: np.ndarray, bits: np.ndarray, table: np.ndarray, sums: np.ndarray) -> None:
    """Add every tree's leaf to the sums of the rows."""
    for begin in range(0, len(table), _ROWS):
        end = min(begin + _ROWS, len(table))
        for tree in range(len(roots)):
            for row in range(begin, end):
                at = roots[tree]
                node = nodes[at]
                while node.kind != LEAF:
                    value = table[row, node.column]
                    if np.isnan(value):
                        left = node.nan_left == 1
                    elif node.kind == NUMBER:
                        left = value <= node.threshold
                    else:
                        code = min(max(int(value), 0), CODES - 1)
                        left = (bits[node.bits + code // 32] >> np.uint32(code % 32)) & np.uint32(1) == 1
                    at = node.left if left else node.right
                    node = nodes[at]
                sums[row] += node.value


def constant(value: float) -> Ensemble:
    """Make an ensemble without trees.

    Args:
        value: What it says of every row.
    """
    return Ensemble(np.array([value]), np.zeros(0, np.int64), np.zeros(0, NODE), np.zeros(0, np.uint32))


def mean(ensembles: Sequence[Ensemble]) -> Ensemble:
    """Make one ensemble that says the mean of several.

    Args:
        ensembles: At least one.
    """
    roots, nodes, bits = [], [], []
    node, word = 0, 0
    for ensemble in ensembles:
        own = ensemble.nodes.copy()
        own["value"] /= len(ensembles)
        own["left"] += node
        own["right"] += node
        own["bits"] += word
        roots.append(ensemble.roots + node)
        nodes.append(own)
        bits.append(ensemble.bits)
        node, word = node + len(own), word + len(ensemble.bits)
    start = np.mean([ensemble.start for ensemble in ensembles], axis=0)
    return Ensemble(start, np.concatenate(roots), np.concatenate(nodes), np.concatenate(bits))
