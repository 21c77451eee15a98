"""Rules of admission, a file each: which workflows are turned away, or held back, before anything of them is sent.

Start with ``reject_late.py`` (a slack), ``gateway.py`` (the one that defers) and ``shed.py`` (at random). They are part
of the global rule and say nothing where ``limits.admission`` is off. A new one is a file with
``RULE = admit_by(verdict, ...)``.
"""
