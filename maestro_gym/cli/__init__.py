"""The command line, ``maestro-gym VERB``.

Start with ``app.py`` (the verbs about comparing and training, and how all groups join), ``options.py`` (what verbs
share) and ``console.py`` (tables, JSON, progress). A new verb is a function in the file of its group, or a new file
with a ``register(app)``; heavy imports stay inside the function, so that ``--help`` comes at once.
"""

from maestro_gym.cli.app import app, main

__all__ = ["app", "main"]
