"""The claims of the Maestro paper beside what is measured here: `maestro-gym reproduce`.

Start with ``claims.py`` (the table of claims: figure, source, how each is measured), ``plan.py`` (the comparisons that
they need) and ``judge.py`` (the rules that make verdicts of intervals). ``variants.py`` writes the workloads and fleets
of the sweeps, ``measure.py`` turns comparisons into intervals, ``predictor_error.py`` and ``decision_latency.py``
measure what no comparison does. ``run.py`` runs it all through ``evaluation/compare.py`` and goes on where it was
stopped, ``reproduction.py`` is the outcome; ``page.py`` and ``figures.py`` write the page.

A new claim is an entry of ``CLAIMS``; a comparison that it needs is one of ``plan.py``.
"""
