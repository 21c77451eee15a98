"""What becomes of the KV of a context while its tool runs, a file each: held, left in the cache, offloaded or dropped.

Start with ``kv_continuum.py`` (a time to live); ``kv_keep.py`` and ``kv_drop.py`` are the two ends, ``kv_offload.py``
is between them. They are part of the node rule and say nothing where ``limits.context_hold_max_s`` is 0. A new one is
a file with ``RULE = hold_by(fate, ...)``.
"""
