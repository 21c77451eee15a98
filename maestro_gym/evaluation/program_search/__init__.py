"""The gym as a benchmark for program search: what is evolved is the text of one rule.

Start with ``export.py`` (the folder that OpenEvolve, ShinkaEvolve and kin are pointed at), then ``evaluate.py`` (from a
program to its score and to words on what went wrong; ``candidate_process.py`` runs it). ``loop.py`` is a small search
that needs no language model, and ``mutate.py`` its random edits.

Another kind of rule is a template ``initial_KIND.py.j2`` and its name in ``config/program_search.py``.
"""
