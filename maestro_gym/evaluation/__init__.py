"""Evaluation: policies on the same episodes, and what can be said of the difference.

Start with ``compare.py`` (from names to a comparison), ``worker.py`` (one episode of one policy) and ``statistics.py``
(the intervals). ``entrants.py`` says who takes part, ``comparison.py`` is the outcome, ``comparison_files.py`` writes
it; ``report`` shows it, ``predictions`` and ``workloads`` are studies of their own. What is measured is defined in
``maestro_gym/episodes/metrics``.

A new metric is a call of ``define`` there, a new figure a function of ``report/figures.py``. A new kind of interval is
a function of ``statistics.py``, as ``iqm_interval`` is.
"""
