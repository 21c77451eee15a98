"""One vLLM server: the calls to it, what its answers may hold, and what the controller knows of it.

Start with ``client.py`` (which calls there are), ``connection.py`` (how any call is made, retried and given up) and
``wire.py`` (what an answer may hold). ``completion.py`` is a request and its growing answer, ``capabilities.py`` finds
out what a server can do, ``metrics_page.py`` reads its gauges, ``breaker.py`` leaves a failing server alone,
``prompts.py`` makes the token ids of a stage, and ``server.py`` joins all of it for one server of a run.

A new route is a record in ``wire.py`` and a method in ``client.py``. If not every server has the route, it is also a
field of ``Capabilities`` with a sentence in ``FALLBACKS`` that says what is done without it.
"""
