"""Studies of Optuna over the settings of training, of search and of scenarios.

Start with ``study.py`` (the trials of a study, how it stops and goes on), then ``work.py`` (what one trial does, by
verb) and ``values.py`` (from what varies to the words that a verb is told). ``optuna_parts.py`` makes samplers and
pruners, ``plots.py`` the page of figures.

Another verb is a class in ``work.py`` with ``resolve`` and ``run``, and its name in ``config/tune.py``.
"""
