"""Fitting: from traces to a family of state machines that draws workflows like theirs.

Start with ``families.py`` (several traces, and the record of where they are from), ``fit.py`` (one application, one
machine) and ``calls.py`` (a trace as a table of calls with states and contexts). ``job_effects.py`` says how alike the
calls of a workflow are, ``family_file.py`` writes YAML.

To fit another effect, compute it from the table of calls in a file of its own and hand it to ``MachineSpec`` in
``fit.py``, as ``job_effects.py`` does; hold the result against the trace with `maestro-gym workload describe`.
"""
