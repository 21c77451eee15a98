"""The simulator: state arrays in, state arrays out. It asks at every decision and never chooses.

Start with ``engine.py`` (the loop that asks rules), ``decisions.py`` (when a decision falls due, and what an action
does) and ``events.py`` (how time goes on). ``steps.py`` is an engine's batch, ``memory.py`` its KV, ``residency.py``
where its weights are, ``reclaim.py`` who gives way, ``handoff.py`` how a call goes on at another node,
``node_states.py`` nodes that come and go, ``links.py`` links between clusters that do, ``regroup.py`` GPUs that form
other nodes, ``signals.py`` what routers know of all this by scrapes; ``calendar.py``, ``index.py`` and ``ready.py``
spare everybody a scan of fleet and queue. New physics is a field of the state and a function here, held against the
slow reference of ``tests/reference``; docs/physics.md gives every formula with its source.
"""
