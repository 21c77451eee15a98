"""The HTML report: one page that needs no other file and no network.

Start with ``write_page.py`` (what the page holds), ``answer.py`` (the sentence at its top) and ``contenders.py`` (the
picture under it). ``charts.py`` has the other figures, ``timelines.py`` an episode by time (``timeline_nodes.py``,
``timeline_workflows.py``), ``references.py`` the differences to whatever reference the reader picks, ``packed.py`` how
things travel in a page. Figures are made here with plotly; the templates of the package above show them, sort and hide.

A new chart is a function of ``charts.py`` that returns a ``Chart``, called in ``charts_of``.
"""
