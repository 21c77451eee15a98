"""Traces: tables of calls that are checked, replayed as a workload, and written from any workload.

Start with ``format.py`` (the columns of a workflow trace), ``files.py`` (which format a file has, and how it is read)
and ``replayed.py`` (the trace as a workload). ``tables.py`` opens files, ``checks.py`` holds the errors that name row
and column in the user's words, ``explain.py`` shows how a file was read, ``episode_arrays.py`` makes arrays,
``mapping.py`` finds deployments for model names and ``writer.py`` writes traces.

A new column is an entry of ``COLUMNS`` in ``format.py``, read in ``episode_arrays.py`` and written in ``writer.py``.
A foreign format is an importer, entered in ``FORMATS`` of ``files.py``.
"""
