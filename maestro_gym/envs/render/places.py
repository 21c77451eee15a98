"""Where things stand in the image: the nodes in panels side by side, each node a row of its panel."""

from __future__ import annotations

import math
from typing import NamedTuple

WIDTH, HEIGHT = 960, 640
"""Of the image, in pixels; video encoders like multiples of 16."""

HEADER = 100
"""Height of the header, in pixels: words, workflows, ready stages."""

FOOTER = 46
"""Height of the footer, in pixels: times, and what colours mean."""

_LEAST_ROW = 22
"""Height of a row from which names can be read; nodes stand in more panels before rows get lower than this."""

_ROOMY_ROW = 36
"""Height of a row from which there is room for the names of models and for numbers."""

_MOST_PANELS = 4


class Places(NamedTuple):
    """The grid of the nodes, all in pixels; see `places_for`."""

    panels: int
    rows: int
    panel_width: int
    row_height: int
    left: int
    """Of a panel, for names."""
    right: int
    """Of a panel, for memory and numbers."""
    queue_height: int
    """Of the band of a node's queue, the lowest part of its row."""

    @property
    def columns(self) -> int:
        """Columns of time of a panel, one pixel each."""
        return self.panel_width - self.left - self.right

    @property
    def roomy(self) -> bool:
        """Whether rows have room for the names of models and for numbers."""
        return self.row_height >= _ROOMY_ROW

    @property
    def lanes_height(self) -> int:
        """Of the lanes of a node together."""
        return self.row_height - self.queue_height - 2

    def corner(self, node: int) -> tuple[int, int]:
        """Left and upper end of a node's row."""
        return node // self.rows * self.panel_width, HEADER + node % self.rows * self.row_height

    def holds(self, num_nodes: int) -> int:
        """How many of so many nodes have a row."""
        return min(num_nodes, self.panels * self.rows)


def places_for(num_nodes: int) -> Places:
    """The grid for a number of nodes: as few panels as leave every row legible.

    Args:
        num_nodes: N; nodes that find no row of at least 8 pixels are left out.
    """
    height = HEIGHT - HEADER - FOOTER
    panels = min(_MOST_PANELS, math.ceil(num_nodes * _LEAST_ROW / height))
    rows = min(math.ceil(num_nodes / panels), height // 8)
    row_height = min(height // rows, 120)
    roomy = row_height >= _ROOMY_ROW and panels == 1
    left, right = (176, 144) if roomy else (66, 46)
    queue_height = min(10, max(3, row_height // 6))
    return Places(panels, rows, WIDTH // panels, row_height, left, right, queue_height)
