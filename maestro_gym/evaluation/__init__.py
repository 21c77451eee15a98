"""Metrics, statistics, comparisons, plots and reports."""
