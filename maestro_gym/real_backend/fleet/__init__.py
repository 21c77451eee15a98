"""The servers of a fleet file: how they are started and stopped here, and what the simulator makes of them.

Start with ``local.py`` (bring a fleet up and down), ``as_scenario.py`` (the fleet as a scenario, and the command line
of each server) and ``as_world.py`` (which node really serves which model). ``processes.py`` starts and ends processes
and keeps notes of them, ``vllm_venv.py`` installs vLLM, ``tiny_model.py`` makes model folders without weights, and
``status.py`` asks every server for its state.

A new flag of ``vllm serve`` is a line in ``as_scenario.launch_words``; a new key of the fleet file is a field in
``config/live.py``. Servers that another program starts need only ``launch: false`` in the fleet file.
"""
