"""The node rules, a file each: admission, reservation and residency.

Start with ``vllm.py`` (head of line, grows as it goes), ``maestro.py`` (what fits, reservation by prediction) and
``exclusive.py`` (one that decides from nothing). A new one is a file with ``RULE = serve_by(order, level, ...)``.
"""
