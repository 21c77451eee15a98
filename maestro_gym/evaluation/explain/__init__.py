"""What a policy does otherwise than another, decision by decision and workflow by workflow.

Start with ``explanation.py`` (all that is found), ``asking.py`` (an episode at whose every decision the other policy is
asked) and ``sentences.py`` (what is said of it). ``kinds.py`` names the ways in which two answers differ;
``decisions.py`` counts them, ``workflows.py`` counts the workflows saved and given up, both in the groups of
``groups.py``; ``pairs.py`` runs the episodes. ``tables.py``, ``page.py`` and ``picture.py`` show it.

A new kind of difference is a number and a sentence in ``kinds.py``; a new way to group workflows or decisions is an
entry of ``_groupings`` in the one file or the other.
"""
