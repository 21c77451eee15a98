"""Rules and policies: Maestro, its ablations, its rivals and the oracle.

A rule is one file: orders of the ready stages in ``orders/``, choices of node in ``cluster/``, admission and residency
in ``node/``, who gives way in ``reclaim/``, who is let in at all in ``admission/``, whose call gets a tool in
``tools/``, what becomes of contexts meanwhile in ``contexts/``, how many nodes are on in ``autoscale/``. Start with
``cluster/llm_d.py`` (a rival, whole), ``parts.py`` (what a policy is made of, late and early bound), ``registry.py``
(the table of policies, and ``complete``, which puts the other tiers around a rule) and ``late_binding/gates.py`` (what
all residency-aware rules share).
``build.py`` and ``build_reclaim.py`` compile declarations, ``maestro/`` holds the formulas of the paper, and
``sentinel.py`` tests what a rule may know.
A new rule is a new file with a ``RULE`` in the folder of its tier, see CONTRIBUTING.md.
"""

from maestro_gym.baselines.registry import TABLE, complete, load_policy, policy_names

__all__ = ["TABLE", "complete", "load_policy", "policy_names"]
