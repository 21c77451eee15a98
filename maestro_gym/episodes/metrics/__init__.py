"""Metrics: every number about an episode, defined once with its unit, formula and direction.

Start with ``define.py`` (what a metric is, and the list of all), ``workflows.py`` (the metrics that results are told
by) and ``outcome.py`` (the arrays that they are computed from). ``stages.py``, ``tenants.py``, ``tools.py``,
``handoffs.py``, ``fleet.py``, ``cost.py``, ``nodes.py``, ``degrees.py``, ``reservation.py``, ``prediction.py`` and
``blocking.py`` hold the others, ``row.py`` makes the row of an episode, ``page.py`` writes docs/metrics.md.

A new metric is a call of ``define`` in the file of what it is about: ``slo_attainment`` of ``workflows.py`` is an
example. Table, files, docs and `maestro-gym metrics` take it from there; ``maestro_gym/evaluation/report/display.py``
says whether it is a headline.
"""
