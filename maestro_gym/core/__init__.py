"""How things run, and nothing about schedulers: errors, random draws, compiling, passing state to compiled code.

Start with ``compile.py`` (the ``njit`` of this project), ``hashing.py`` (draws that depend on nothing but their key)
and ``errors.py`` (``MaestroError``, a mistake that the user can mend). ``boxed.py`` is the one file that knows the
insides of numba.
"""
