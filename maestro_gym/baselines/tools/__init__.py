"""Orders of the calls that wait for a place of a tool, a file each: whose call runs when one is free.

Start with ``tool_edf.py`` (a deadline), ``tool_srtf.py`` (a prediction) and ``tool_order.py`` (the order of the global
queue). They are part of the global rule and say nothing where ``workload.tools`` is off; without
one the call that asked first is the first. A new one is a file with ``RULE = give_by(key, ...)``.
"""
