"""The page ``docs/baselines.md``, made from the registry: what is compared, where it comes from, what was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from maestro_gym.baselines.left_out import LEFT_OUT
from maestro_gym.baselines.registry import (
    ADMISSIONS,
    AUTOSCALINGS,
    CONTEXT_RULES,
    NODE_RULES,
    ORDERS,
    RECLAIM_RULES,
    REGROUPINGS,
    ROUTINGS,
    RULES,
    TABLE,
    TOOL_ORDERS,
    load_policy,
)
from maestro_gym.scheduling.rules import Declared

_INTRODUCTION = """# Baselines

<!-- Written by `make docs` from the registry; do not edit by hand. -->

A policy has four rules: global (the order of the ready stages, and the choice of cluster), cluster (the choice of
node), node (admission, reservation, residency) and reclaim (what gives way when memory is short). Every rule is one
file of `maestro_gym/baselines/`, in the folder of its tier: `orders/`, `cluster/`, `node/`, `reclaim/`.

A rival of one tier stands in the table twice: completed with plain companions (FCFS, warm join-shortest-queue,
vLLM's own admission) and, as `name+maestro`, with Maestro's rules on the other tiers. A routing brings the choice of
cluster that goes with it: the cluster of the best node of the fleet. `name@early` is any policy bound at readiness,
without the gates of [late binding](late_binding.md). A rule of admission (`admission/`) is part of the global rule,
before its order; it admits all where a scenario's `limits.admission` is off ([admission.md](admission.md)). So is an
order of the calls that wait for a tool (`tools/`); it says nothing where tools have no bounds ([tools.md](tools.md)).
And so is a rule of autoscaling (`autoscale/`), inert where `limits.autoscaling` is off
([autoscaling.md](autoscaling.md)).
What becomes of a context while its tool runs (`contexts/`) is part of the node rule, where a scenario gives
`limits.context_hold_max_s`. A rule of elastic parallelism (`elastic/`) is part of the node rule, and inert where
`limits.parallelism` is off ([elastic.md](elastic.md)).

**Class** is what the rules global, cluster, node and reclaim may read: N past and present, P predictions too,
O the true future. A policy is of the class of the rule that reads most; only a policy of class O is handed the truth.
A sentinel test asks every rule again with its future and its predictions changed, and expects the same answer.

**Sources.** Maestro is *Maestro: Workload-Aware Cross-Cluster Scheduling for LLM-Based Multi-Agent Systems*
(Wang et al., ICDCS 2026, arXiv 2606.12950); F1 to F10 are its formulas. V: read in a public source. V-author: in
the first author's public notes. V-2nd: in a third party's summary or code. I: inferred, a modelling choice.
"""

_CHOICES = """## Modelling choices that all rules share

How long a stage waits for a node that has its model, and who gives way for it, is the same for Maestro and for all
rivals that look at residency: [late_binding.md](late_binding.md) says each choice, with its reason and its test. The
oblivious routings (random, round-robin, jsq) do not bind late.

- **Reclaim decides rarely.** An engine that gives way has mostly been idle for as long as a start lasts, so the tool
  gaps of its sessions are over, and there is seldom a second engine to choose from: rivals that differ in reclaim alone
  (`kvflow`, `saga-wa-lru`, `continuum-ttl`, `torpor-evict`) lie close together here. Their papers choose among KV
  blocks, which go by themselves in this simulator, oldest first.
- **Work conservation.** A stage that no node can take does not hold up those behind it.
- **Fitness scale.** The percentiles of F2 are frozen in `configs/baselines/fitness.yaml`, measured on validation
  episodes by `python -m maestro_gym.baselines.maestro.measure quick paper`.
"""

_OWN = """## A rule of your own

One Python file, with the same declaration as the rules above. It is completed as the rivals of the table are:
`--policy my_rule.py:RULE` puts plain companions around it, `--policy my_rule.py:RULE+maestro` Maestro's rules.
The file is executed: use only what you trust.

```python
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import num_running


def cost(view, e, stage, node):
    return float(num_running(view, e, node))


RULE = route_by(cost, name="fewest-running", information="N", description="fewest admitted stages", source="my idea")
```

`maestro-gym policies --check my_rule.py:RULE` runs the sentinel over it. `maestro_gym/scheduling` is all that a rule
imports: `view.py` reads the state, `load_signals.py` and `estimates.py` say what a scheduler can reckon, `legal.py`
what is possible, `actions.py` makes the codes of actions. `examples/` holds a rule and a fleet to start from.

| declare | with | tier |
| --- | --- | --- |
| `order_by` | `key(view, oracle, e, stage)`, smaller is sooner; `band` and `hold` as in its docstring | global |
| `admit_by` | `verdict(view, e, stage)`: `ADMITS`, `DEFERS` or `REJECTS` | global, before the order |
| `scale_by` | `target(view, e)`, nodes that should be on | global, before admission |
| `give_by` | `key(view, oracle, e, stage)`, smaller is sooner | global, of a tool's queue |
| `route_by` | `cost(view, e, stage, node)`, smaller is better; `gate=LATE`, `OPEN` or `HOME` | cluster |
| `serve_by` | an order and a reservation level | node |
| `hold_by` | `fate(view, e, stage, node)`: `LEAVE`, `DROP`, `OFFLOAD`, `hold_code(seconds)` | node, across a tool |
| `regroup_by` | `degree(view, e, node)`, GPUs of a node of its board | node, before the order |
| `reclaim_by` | `rank(view, e, candidate, growth)` and `cost(view, e, candidate)` | reclaim |

A rule that none of these forms can express is a class with a function that decides from nothing:

```python
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.view import cluster_of, cluster_to_route_in, num_nodes, stage_to_route


class FirstWithRoom:
    \"\"\"The first node of the cluster that has room.\"\"\"

    tier = "cluster"  # global, cluster, node or reclaim
    information = "N"

    @staticmethod
    def decide(view, oracle, e):
        stage, cluster = stage_to_route(view, e), cluster_to_route_in(view, e)
        for node in range(num_nodes(view)):
            if cluster_of(view, node) == cluster and can_route(view, e, stage, node):
                return node
        return -1
```
"""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _parts(title: str, parts: Mapping[str, Declared]) -> str:
    rows = ([f"`{name}`", part.information, part.description, part.source, part.choice] for name, part in parts.items())
    return f"## {title}\n\n" + _table(("name", "class", "what it does", "source", "modelling choice"), rows)


def _numbers() -> str:
    rows = [
        [
            f"`{name}`",
            f"`{number.name}`",
            number.unit,
            f"{number.low:g} to {number.high:g}",
            f"{number.default:.3g}",
            number.meaning,
        ]
        for rules in RULES
        for name, rule in rules.items()
        for number in rule.numbers
    ]
    head = ("rule", "number", "unit", "range of a search", "default", "meaning")
    return (
        "## Numbers of the rivals\n\n`maestro-gym search --family NAME` moves them, over the same episodes and with the"
        " budget of any other search ([search.md](search.md)); without one a policy has the defaults.\n\n"
        + _table(head, rows)
    )


def _left_out() -> str:
    rows = ([row.system, row.mechanism, row.reason, row.instead] for row in LEFT_OUT)
    head = ("system", "mechanism", "why no rule says it", "what stands here")
    return "## Not applicable\n\nWhat these decisions cannot express is left out, and not imitated.\n\n" + _table(
        head, rows
    )


def baselines_markdown() -> str:
    """The whole page."""
    policies = []
    for name, parts in TABLE.items():
        policy = load_policy(name)
        rules = [f"`{rule.name}`" for rule in policy.rules]
        classes = " ".join(rule.information for rule in policy.rules)
        policies.append([f"`{name}`", *rules, classes, parts.description])
    head = ("policy", "global", "cluster", "node", "reclaim", "class", "what it is compared for")
    return "\n".join(
        (
            _INTRODUCTION,
            "## Policies\n\n" + _table(head, policies),
            _parts("Orders of the global queue", ORDERS),
            _parts("Choice of node, and of cluster by the best node", ROUTINGS),
            _parts("Node rules", NODE_RULES),
            _parts("Reclaim rules", RECLAIM_RULES),
            _parts("Rules of admission", ADMISSIONS),
            _parts("Orders of the calls that wait for a tool", TOOL_ORDERS),
            _parts("Rules of autoscaling", AUTOSCALINGS),
            _parts("What becomes of a context while its tool runs", CONTEXT_RULES),
            _parts("Rules of elastic parallelism", REGROUPINGS),
            _numbers(),
            _CHOICES,
            _left_out(),
            _OWN,
        )
    )
