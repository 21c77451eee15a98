"""Applications as state machines: learned walks over states, which is what a fit to a trace gives.

Start with ``machine_spec.py`` (what a family file may say), ``machine_tables.py`` (the same as arrays) and
``machine_generator.py`` (the compiled walk). ``configs/workloads/coding_agent.yaml`` is a family of this kind.

A new effect is a section of ``machine_spec.py``, its column in ``machine_tables.py`` and its place in the walk;
``YouthSpec``, by which contexts grow faster at first, is an example. ``maestro_gym.workloads.fitting`` must learn it
too.
"""
