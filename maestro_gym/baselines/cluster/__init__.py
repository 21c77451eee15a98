"""The choices of node, a file each; each brings the choice of cluster that goes with it.

Start with ``jsq.py`` (a cost), ``llm_d.py`` (a score among warm nodes) and ``round_robin.py`` (one that keeps notes).
A new one is a file with ``RULE = route_by(cost, ...)``.
"""
