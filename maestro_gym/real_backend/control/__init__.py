"""The loop of a live run: it keeps the state of the fleet, asks the policy, and carries its decisions out on servers.

Start with ``controller.py`` (the loop), ``moves.py`` (every change of the state, compiled) and ``state.py`` (the state,
and its reads and writes from Python). ``decide.py`` holds the acting policy, its fallback and its shadow;
``requests.py`` sends and aborts stages; ``engines.py`` promotes, demotes and watches servers; ``opening.py`` is what
happens before the clock runs, ``run.py`` what is written after it.

A new decision of the node tier is a branch in ``engines.Engines.follow`` or ``requests.Traffic.reconcile``. A new field
of the view gets its source in ``state/fields.py`` of the package; ``sources.py`` refuses policies that need what the
servers do not give. A new event is one call of ``EventLog.write``, listed in docs/live.md.
"""
