"""How far the simulator is from the servers: measure them, calibrate the simulator, run both, replay a live run.

Start with ``validate.py`` (the whole procedure and its verdicts), ``measure_servers.py`` (what is measured) and
``calibrate_fleet.py`` (how the constants are fitted). ``simulated_fleet.py`` runs an episode in the simulator on the
nodes of a fleet file, ``replay_run.py`` repeats a live run from its event log, ``figures.py`` draws the results.

A new kind of measured point is a name in ``calibrate_fleet.KINDS``, its measurement in ``measure_servers.py`` and its
prediction in ``calibrate_fleet.predict_points``. A new metric of the comparison is a name in ``validate.METRICS``.
"""
