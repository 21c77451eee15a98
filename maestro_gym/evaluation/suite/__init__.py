"""Frozen benchmarks: what is run, on which seeds, what it is judged by, and records that can be run again.

Start with ``definition.py`` (what a benchmark says, and where it lies), ``run.py`` (policies on a benchmark, a record
each) and ``check.py`` (a record held against the benchmark and run again). ``fingerprint.py`` says what a scenario
consists of, ``identity.py`` what a policy consists of; ``record.py`` is the file, ``marks.py`` what a reader must know
of it, ``leaderboard.py`` the page that is made from many.

A new benchmark is a file of ``benchmarks/suite`` and no code: copy one, change it, and let ``benchmarks/freeze.py``
write its hashes. A new mark is a function of ``marks.py``.
"""
