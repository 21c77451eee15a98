"""The colours of every picture of the project, which colour-blind readers tell apart."""

from __future__ import annotations

# Okabe and Ito, "Color Universal Design" (2008); its yellow is left out, too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
GREY = "#9A9A9A"
