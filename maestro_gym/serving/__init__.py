"""One node that serves models, without a fleet around it: what a person asks a serving simulator first.

Start with ``serve.py`` (requests in, latencies and throughput out), ``node_scenario.py`` (a scenario of one node) and
``node_of_words.py`` (that scenario from the words of `maestro-gym serve-sim`). ``replay_requests.py`` replays requests
that were measured; the fidelity check and the calibration of live servers use it.

A new option is an argument of ``node_of_words`` and an option of the verb in ``cli/machine.py``, as ``prefix_groups``
is; a new row of the answer is computed in ``serve.py``.
"""
