"""The page ``docs/baselines.md``, made from the registry: what is compared, where it comes from, what was chosen."""

from __future__ import annotations

from collections.abc import Iterable

from maestro_gym.baselines.catalogue import FITNESSES, NODES, ORDERS, RECLAIMS, ROUTINGS, Part
from maestro_gym.baselines.registry import TABLE, load_policy

_INTRODUCTION = """# Baselines

<!-- Written by `make docs` from the registry; do not edit by hand. -->

A policy is a triple of rules: global (order of the ready stages, and cluster choice), cluster (choice of
node) and node (admission, reservation, residency; with it goes the reclaim rule, asked when memory is short).

A rival of one tier stands in the table twice: completed with plain companions (FCFS, warm join-shortest-queue,
vLLM's own admission) and, as `name+maestro`, with Maestro's rules on the other tiers.

**Class** is what the rules global, cluster, node, reclaim may read: N past and present, P predictions too,
O the true future. A policy is of the class of the rule that reads most; only a policy of class O is handed the truth.

**Sources.** Maestro is *Maestro: Workload-Aware Cross-Cluster Scheduling for LLM-Based Multi-Agent Systems*
(Wang et al., ICDCS 2026, arXiv 2606.12950); F1 to F10 are its formulas. V: read in a public source. V-author: in
the first author's public notes. V-2nd: in a third party's summary or code. I: inferred, a modelling choice.
"""

_CHOICES = """## Modelling choices that all rules share

- **Late binding** (`gates.py`). A stage goes to a node without its model when that node can start the model
  without harm and no node has or expects it, or when it has waited as long as the start takes. A node takes stages
  of one absent model at a time, for half its queue. The oblivious routings (random, round-robin, jsq) do not do so.
- **Displacement** (`displacement.py`). A model that no node has displaces others when its stages have waited, in
  stage-seconds, as long as the displaced stages would; on the node where that is least.
- **Patience and stay** (`room.py`). Engines drain for a stage that has waited max(2 s, T_ready); a model with
  waiting stages stays at least T_ready of the newcomer.
- **Work conservation.** A stage that no node can take does not hold up those behind it.
- **Fitness scale.** The percentiles of F2 are frozen in `configs/baselines/fitness.yaml`, measured on validation
  episodes by `python -m maestro_gym.baselines.measure quick paper`.

What these decisions cannot express is left out: token-level switching (Aegaeon), live migration (Llumnix), SM
shares (MuxServe), eviction of running requests for others (QLM).

## A rule of your own

One Python file, completed with Maestro's rules on the other tiers; `--policy my_rule.py:FewestRunning`.
The file is executed: use only what you trust.

```python
from maestro_gym.scheduling.legal import can_route


class FewestRunning:
    \"\"\"The node with the fewest admitted stages.\"\"\"

    tier = "cluster"
    information = "N"

    @staticmethod
    def decide(view, oracle, e):
        best, fewest = -1, 1 << 30
        for node in range(view.world.nodes.shape[0]):
            if view.world.nodes[node].cluster != view.clock[e].cluster:
                continue
            if can_route(view, e, view.clock[e].stage, node) and view.nodes[e, node].running < fewest:
                best, fewest = node, view.nodes[e, node].running
        return best
```
"""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _parts(title: str, parts: dict[str, Part]) -> str:
    rows = ([f"`{name}`", part.information, part.description, part.source, part.choice] for name, part in parts.items())
    return f"## {title}\n\n" + _table(("name", "class", "what it does", "source", "modelling choice"), rows)


def baselines_markdown() -> str:
    """The whole page."""
    policies = []
    for name, triple in TABLE.items():
        policy = load_policy(name)
        rules = [f"`{rule.name}`" for rule in policy.rules]
        classes = " ".join(rule.information for rule in policy.rules)
        policies.append([f"`{name}`", *rules, classes, triple.description])
    head = ("policy", "global", "cluster", "node", "reclaim", "class", "what it is compared for")
    return "\n".join(
        (
            _INTRODUCTION,
            "## Policies\n\n" + _table(head, policies),
            _parts("Orders of the global queue", ORDERS),
            _parts("Choice of node, and of cluster by the best node", {**FITNESSES, **ROUTINGS}),
            _parts("Node rules", NODES),
            _parts("Reclaim rules", RECLAIMS),
            _CHOICES,
        )
    )
