"""Importers of public traces: each turns a foreign table into one of the workflow-trace format.

Start with ``azure.py`` (requests without sessions), ``chatdev.py`` (sessions of calls, one after the other) and
``constants.py`` (what traces do not say: classes, deadlines, limits). ``chains.py`` is what session logs share,
``otel.py`` reads the spans of your own agents, ``plain_requests.py`` any table of requests.

A new importer is one file with ``COLUMNS``, by which it is recognised, and ``convert(frame, source)``; enter it in
``FORMATS`` of ``traces/files.py``. ``taubench.py`` is an example of one page.
"""
