"""Evaluation: policies on the same episodes, and what can be said of the difference.

Start with ``compare.py`` (from names to a comparison), ``worker.py`` (one episode of one policy) and ``statistics.py``
(the intervals). ``entrants.py`` says who takes part, ``comparison.py`` is the outcome, ``comparison_files.py`` writes
it; ``metrics`` defines what is measured, ``report`` shows it, ``predictions`` and ``workloads`` are studies of their
own.

A new metric is a call of ``define`` in the file of ``metrics`` that it is about, a new figure a function of
``report/figures.py``. A new kind of interval is a function of ``statistics.py``, as ``iqm_interval`` is.
"""
