"""Rules of elastic parallelism, a file each: how many GPUs a node of a board has.

Start with ``static_degree.py`` (one number), ``long_prompts.py`` (a threshold) and ``quickest_degree.py`` (the degree
of least response time). They are part of the node rule and say nothing where ``limits.parallelism`` is off. A new one
is a file with ``RULE = regroup_by(degree, ...)``.
"""
