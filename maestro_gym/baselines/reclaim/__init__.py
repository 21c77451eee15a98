"""The reclaim rules, a file each: who gives way when memory is short.

Start with ``lru.py``, ``least_harm.py`` and ``offers.py`` (what they ask of a candidate). A new one is a file with
``RULE = reclaim_by(rank, cost, ...)``.
"""
