"""Applications as stage graphs: steps, loops and fan-outs of roles, each with laws of its lengths.

Start with ``spec.py`` (what a family file may say), ``tables.py`` (the same as arrays) and ``generator.py`` (the
compiled draw from these arrays). ``configs/workloads/maestro.yaml`` is a family of this kind.

A new construct is a field of a step in ``spec.py``, its column in ``tables.py`` and its branch in ``generate``:
``LoopSpec`` and ``FanOutSpec`` are such constructs.
"""
