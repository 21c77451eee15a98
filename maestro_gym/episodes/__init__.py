"""From the name of a scenario to a finished episode and its metrics: world, scenario, the run and its result.

Start with ``scenario.py`` (a scenario ready to run, and the episodes it makes), ``run.py`` (a whole episode under one
policy) and ``result.py`` (what it leaves behind, from which every metric is computed). ``world.py`` turns a fleet into
arrays, ``capacity.py`` says which rate is an offered load of one. ``metrics`` defines what is measured.

What a metric needs of a run is a field of ``EpisodeResult``, filled by ``result_of`` in ``run.py``; ``counters`` is an
example. A new property of the fleet is a field of ``maestro_gym/state/world.py``, filled in ``world.py``.
"""
