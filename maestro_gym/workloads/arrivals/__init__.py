"""Arrivals: at which times workflows come.

Start with ``processes.py`` (every process, from renewal to replay), ``from_config.py`` (which one a configuration asks
for) and ``client_files.py`` (the files of ``configs/arrivals``, fitted to measured clients).

A new process is a class with ``times_s`` in ``processes.py``, a name in ``ArrivalsConfig`` and a branch of
``build_arrivals``: ``MarkovModulated`` is an example. It must keep the mean rate asked for.
"""
