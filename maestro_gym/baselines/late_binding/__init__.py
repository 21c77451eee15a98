"""What residency-aware policies share: how long a stage waits for a node that has its model, and who gives way for it.

Start with ``gates.py`` (to which nodes a stage is open), ``room.py`` (which memory a stage may claim, and who must
drain) and ``displacement.py`` (which node gives up what it serves). ``choose_node.py``, ``send.py`` and ``serve.py``
are the loops over nodes, ready stages and waiting stages that all rules share, ``walk.py`` the way along the global
queue past the models that nobody is open to, ``bounds.py`` the way past blocks that hold nothing sooner; ``home.py`` is
No-Colocation's placement. Every choice has a row and a test in docs/late_binding.md.
"""
