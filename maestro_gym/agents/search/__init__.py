"""Search over whole episodes: named numbers of a family, tried out on the same episodes as a reference.

Start with ``search.py`` (the loop, its folder and how it goes on), ``evaluate.py`` (candidates by episodes, over all
cores) and ``objective.py`` (what an outcome is worth). ``number_worth.py`` takes the numbers of a policy back one by
one, and ``explain.py`` puts that beside its decisions and its workflows (``evaluation/explain``). The numbers are those
of ``baselines/shaped/numbers.py``.

Another family is another list of `Number` and the policy that reads them.
"""
