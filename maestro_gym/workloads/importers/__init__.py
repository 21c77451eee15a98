"""Importers of public traces: each turns a foreign table into one of the workflow-trace format.

Start with ``azure.py`` (requests without sessions), ``chatdev.py`` (sessions of calls, one after the other) and
``spans.py`` (trees of calls and tools). ``chains.py`` is what session logs share, ``blocks.py`` what traces with ids
of prefix blocks do, ``records.py`` and ``moments.py`` what JSON exports do; ``constants.py`` says what traces do not
(classes, deadlines, limits), ``counts.py`` what becomes of empty prompts and answers, ``dialects.py`` what attributes
of spans mean. ``otel.py`` reads the spans of your own agents, ``plain_requests.py`` any table of requests.

A new importer is one file with ``COLUMNS``, by which it is recognised, ``FIELDS`` (which of its columns become which
of ours, for refusals and ``--explain``) and ``convert(frame, source)``, which says what it assumed; enter it in
``FORMATS`` of ``traces/files.py``, and a small correct file in ``tests/workloads/foreign_files.py``, which the fuzzer
takes up. ``taubench.py`` is an example of one page.
"""
