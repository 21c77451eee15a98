"""Maestro's own terms, formula by formula.

Start with ``fitness.py`` (S = A - T_ready - C_deg, F1 to F4), ``percentiles.py`` (frozen, by scenario) and
``measure.py`` (how these are measured). The rules that use them are ``cluster/maestro.py``, ``orders/maestro.py`` and
``node/maestro.py``.
"""
