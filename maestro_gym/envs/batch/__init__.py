"""E environments of one tier, stepped by one call: Python on one side, compiled code on the other.

Start with ``agent_batch.py`` (what an agent sees and answers, whoever moves the environments), ``kernel.py`` (the
compiled step) and ``buffers.py`` (the arrays that both sides share). ``simulated.py`` moves a batch by the simulator,
and ``real_backend.envs.live_batch`` by real servers; ``own_rule.py`` asks what a rule would do in the agent's place.
A counter that a reward shall read is one name more in ``buffers.REWARD_COUNTERS``.
"""
