"""How far the performance model is from measured machines, and how its constants are fitted to them.

Start with ``points.py`` (what a reader of measurements hands on), ``vidur.py`` (such a reader) and ``model_errors.py``
(the model held against all of them). ``profile_sources.py`` lists the readers, ``refit.py`` fits constants,
``calibrate_gpu.py`` writes them as a hardware file, ``error_report.py`` and ``plots.py`` show the errors.

A new source is one file with a ``SOURCE`` that reads a folder, entered in ``SOURCES`` of ``profile_sources.py``;
``distserve.py`` is an example. ``frames.py``, ``documents.py`` and ``folders.py`` read tables, JSON and names of GPUs.
"""
