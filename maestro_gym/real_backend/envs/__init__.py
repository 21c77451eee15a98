"""Gymnasium environments whose episodes run on real servers, with the spaces and masks of the simulated ones.

Start with ``live_envs.py`` (the environments and their page of the docs), ``live_batch.py`` (how the control loop hands
a decision over and waits) and ``maestro_gym/envs/batch/agent_batch.py`` (what the live and the simulated batch share).

A tier that the simulated environments have is a class of three lines in ``live_envs.py`` and a line in
``registration.py``; observations and rewards are those of ``maestro_gym.envs`` and need nothing here.
"""
