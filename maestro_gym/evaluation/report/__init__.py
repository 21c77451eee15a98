"""The report of a comparison: a table on the terminal, figures, sentences, one HTML file.

Start with ``table.py`` (the terminal), ``figures.py`` (every picture, in order) and ``page`` (the HTML file).
``display.py`` says how a metric is shown, ``best.py`` who may be called best, ``palette.py`` how figures look,
``verdicts.py`` what is said in sentences, ``told_apart.py`` what the seeds can tell and what several trainings say of
their method (``profiles.py`` draws it); ``written_table.py`` writes tables for pages and papers, ``gantt.py`` draws the
schedule of the episode that ``episode_trace.py`` has kept.

A new figure is a function of ``figures.py`` that returns a ``Plot``, called in ``_draw``; ``_completion_cdf`` is an
example. A new column of the table is an entry of ``HEADLINE`` in ``display.py``.
"""
