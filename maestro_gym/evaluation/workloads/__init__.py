"""How near a workload is to the traces that it was fitted to.

Start with ``describe.py`` (what `maestro-gym workload describe` tells), ``match.py`` (the distances, as rows) and
``match_figures.py`` (distributions side by side).

A new quantity is an entry of ``QUANTITIES`` in ``match.py``, whose values both ``sample_episode`` and ``sample_trace``
take; "gap" is an example.
"""
