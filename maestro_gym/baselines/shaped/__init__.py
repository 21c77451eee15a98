"""A family of policies with named numbers: Maestro's decisions by default, anything between its levers by search.

Start with ``numbers.py`` (every number with its unit, range, default and meaning) and ``file.py`` (a policy of the
family as a small YAML file); ``page.py`` writes docs/shaped.md. The rules that read the numbers are
``orders/shaped.py``, ``cluster/shaped.py``, ``node/shaped.py`` and ``reclaim/shaped.py``, the levers on late binding
``late_binding/holds.py``.

A new number is a line of `NUMBERS` and the term that reads it.
"""
