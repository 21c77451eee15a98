"""Maestro's own terms, formula by formula: fitness of a node, its frozen percentiles, and how these are measured."""
