"""What an agent sees of a decision: a row of columns for each action, a context, and the mask of the legal actions.

Start with ``observe.py`` (which rows are written, and what is legal), ``stage.py`` (a block of columns, with the code
that computes each), ``layout.py`` (which blocks each environment shows) and ``additions.py`` (what switches of a
scenario bring along). ``columns.py`` says how a column is declared, ``scales.py`` how quantities become values from -1
to 1, and ``window.py`` which stages the global tier sees.

A new column is one function under ``@BLOCK.column(name, scale, meaning)`` in the file of its block. Its place, the
spaces, the docstrings and docs/environments.md (``make docs``) follow from it. It changes the spaces of every
environment that shows the block, so their ids rise by a version.
"""
