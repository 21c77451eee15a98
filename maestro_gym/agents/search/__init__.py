"""Search over whole episodes: named numbers of a family, tried out on the same episodes as a reference.

Start with ``search.py`` (the loop, its folder and how it goes on), ``space.py`` (what is searched: numbers, and limits
of engines), ``evaluate.py`` (candidates by episodes, over all cores) and ``objective.py`` (what an outcome is worth).
``seeds.py`` repeats a search, ``report.py`` shows what it kept. ``number_worth.py`` takes the numbers of a policy back
one by one, and ``explain.py`` puts that beside its decisions and its workflows (``evaluation/explain``). The numbers of
the shaped family are in ``baselines/shaped/numbers.py``.

Another family is a rule that declares numbers of its own, see ``scheduling/numbers.py`` and examples/own_family.py.
"""
