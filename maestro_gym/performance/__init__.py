"""How long a step of an engine takes: the operators of a layer, and step tables made from them.

Start with ``operators.py`` (one roofline formula per operator) and ``step_tables.py`` (their sum over a step, as
tables that the simulator looks up). ``maestro_gym.fidelity`` holds both against measured kernels, and ``validity.py``
says in one line where a scenario asks for more than was measured.

A new operator is a function of ``operators.py`` and a term of the sum in ``step_tables.py``; ``experts_s``, the
kernels of MoE layers, came this way. Its coefficients are fields of ``config/hardware.py``, which `maestro-gym
calibrate` fits.
"""
