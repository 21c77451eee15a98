"""The orders of ready stages, a file each.

Start with ``srtf.py`` (a key), ``maestro.py`` (a key and bands) and ``oracle_srtf.py`` (the one that reads the
future). A new order is a file with ``RULE = order_by(key, ...)``.
"""
