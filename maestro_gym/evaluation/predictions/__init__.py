"""How good predictions are, on workflows that no predictor has learned from.

Start with ``study.py`` (folds, trials and the two tables), ``quality.py`` (what is measured of a guess) and
``rivals.py`` (what Maestro's predictor is held against). ``fits_kept.py`` lets a study that was stopped go on, and
``fitted.py`` shows the predictor that a scenario would use.

A new rival is a function from a history to a guess, entered in ``RIVALS``; ``magnus_like`` is an example. A new
measure is an entry of ``PREDICTION_METRICS`` in ``quality.py``.
"""
