"""The contract between physics and schedulers: all that a rule imports, besides the state's types and ``core.compile``.

Start with ``rules.py`` (how a rule is declared), ``view.py`` (what it reads) and ``legal.py`` (what is possible).
``sets.py`` says which nodes are worth a look, ``reads.py`` who reads metric fields.
``actions.py`` makes and reads the codes of actions, ``estimates.py`` and ``load_signals.py`` say what a scheduler can
reckon, ``sizes.py`` and ``load_times.py`` what things take, ``policy.py`` what a policy is, ``numbers.py`` what it may
be given from outside, ``fitness_scale.py`` the percentiles that come with a scenario, ``tiers.py`` who decides.
A new reader is a function of ``view.py``; a new kind of action begins in ``actions.py``.
"""
