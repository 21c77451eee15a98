"""Independent jobs on workers: processes of this machine, or the machines of a Ray cluster.

Start with ``workers.py`` (what workers are, how jobs are handed out, and what a lost worker costs) and ``choose.py``
(from the word of the user to workers). ``processes.py`` and ``on_ray.py`` are the two kinds. What a process does
differently when it works for another is in ``core/worker_process.py``.

Another kind is a subclass of ``Workers`` with three methods, and a line of ``choose.py``.
"""
