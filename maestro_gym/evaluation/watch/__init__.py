"""An episode played back on a local page: one policy, or two side by side on the same workflows.

Start with ``episodes.py`` (which episodes), ``document.py`` (what the page is told of one) and ``server.py`` (the
page's address); ``film.py`` saves what the page shows as a video. The page itself is ``templates``: ``model.js`` says
how things stand at a moment, ``view.js`` draws that, ``player.js`` moves the moment.

Something new on the page is a field of ``document.py``, read in ``model.js`` and drawn in ``view.js``.
"""
