"""What a live run tells Prometheus, on a port of its own.

Start with ``exported.py`` (every metric, declared once: name, kind, unit, labels), ``live_metrics.py`` (how each is
read from the state of the run) and ``metrics_port.py`` (the page). A new metric is an entry in ``exported.py``, its
value in ``live_metrics.py``, and `make docs`.
"""
