"""How things run, and nothing about schedulers: errors, random draws, compiling, passing state to compiled code.

Start with ``compile.py`` (the ``njit`` of this project), ``hashing.py`` (draws that depend on nothing but their key)
and ``errors.py`` (``MaestroError``, a mistake that the user can mend). ``boxed.py``, ``dispatcher.py`` and
``code_cache.py`` are the files that know the insides of numba: how state, calls and compiled code are kept;
``compile_beside.py`` is the second process that compiles, ``compile_progress.py`` what is said meanwhile.
"""
