"""Rules of autoscaling, a file each: how many nodes should be on.

Start with ``little.py`` (a target from the arrivals) and ``queue_threshold.py`` (a step when too many wait);
``shaped.py`` is that of the searched family. They are part of the global rule and say nothing where
``limits.autoscaling`` is off. A new one is a file with ``RULE = scale_by(target, ...)``.
"""
