"""Agents that this project did not train, as policies: a class in Python, a file of SB3, of TorchScript or of ONNX.

Start with ``agent.py`` (what an agent is, and the four things that must be known of one), ``ask_python.py`` (how
compiled code asks it) and ``as_policy.py`` (an agent among its companions). ``python_file.py``, ``sb3_model.py``,
``torch_script.py`` and ``onnx_model.py`` make agents of files; what could run code asks ``core/trust.py``.

A new form of file is a module here that makes an agent and its card, and a line of ``FORMS`` in ``as_policy.py``.
"""
