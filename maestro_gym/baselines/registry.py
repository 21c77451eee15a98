"""Every policy by name: the table of triples, and how a name becomes a policy.

One-tier rivals come twice: ``edf`` with plain companions (FCFS, warm join-shortest-queue, vLLM's
own admission) and ``edf+maestro`` with Maestro's rules on the other tiers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from maestro_gym.baselines.catalogue import cluster_rule, global_rule, node_rule, reclaim_rule
from maestro_gym.baselines.fitness import FitnessScale
from maestro_gym.baselines.scales import scale_for
from maestro_gym.baselines.user_rules import is_user_spec, load_user_rule
from maestro_gym.config import hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.policy import Policy, Rule


class _Config(Protocol):
    @property
    def name(self) -> str: ...


class HasConfig(Protocol):
    """Anything with a scenario's configuration, of which only the name is read."""

    @property
    def config(self) -> _Config:
        """The scenario's configuration."""
        ...


@dataclass(frozen=True)
class Triple:
    """A row of the table: names of rules, and what the policy is compared for.

    Attributes:
        global_name: order/placement of the global rule.
        cluster_name: routing of the cluster rule.
        node_name: node rule.
        reclaim_name: reclaim rule.
        description: one line.
    """

    global_name: str
    cluster_name: str
    node_name: str
    reclaim_name: str
    description: str


_PLAIN = Triple("fcfs/warm-jsq", "warm-jsq", "vllm", "vllm", "")
_MAESTRO = Triple("maestro/maestro", "maestro", "maestro", "least-harm", "Maestro complete")

_ORDER_RIVALS = ("fcfs", "workflow-fcfs", "edf", "sjf", "srtf", "oracle-srtf", "las")
_ROUTING_RIVALS = (
    "random",
    "round-robin",
    "jsq",
    "warm-jsq",
    "power-of-two",
    "least-kv",
    "session-affinity",
    "llumnix",
    "serverlessllm",
    "llm-d",
    "dynamo",
)


def _table() -> dict[str, Triple]:
    table = {
        "maestro": _MAESTRO,
        "maestro-raw": replace(
            _MAESTRO,
            global_name="maestro/maestro-raw",
            cluster_name="maestro-raw",
            description="Maestro with fitness terms in raw time",
        ),
        "maestro-max-reservation": replace(
            _MAESTRO, node_name="maestro-max", description="Maestro without predicted reservation"
        ),
        "maestro-fcfs": replace(
            _MAESTRO,
            global_name="class-fcfs/maestro",
            node_name="class-fcfs",
            description="Maestro without SRTF on T_rem",
        ),
        "maestro-no-preemption": replace(
            _MAESTRO, global_name="maestro-no-preemption/maestro", description="Maestro without boundary preemption"
        ),
        "maestro-no-fitness": replace(
            _MAESTRO,
            global_name="maestro/warm-jsq",
            cluster_name="warm-jsq",
            description="Maestro without node fitness",
        ),
        "maestro-lru": replace(_MAESTRO, reclaim_name="lru", description="Maestro without least-harm reclaim"),
        "maestro-no-prediction": Triple(
            "class-fcfs/warm-jsq", "warm-jsq", "class-fcfs-max", "lru", "Maestro with nothing predicted"
        ),
    }
    for name in _ORDER_RIVALS:
        table[name] = replace(_PLAIN, global_name=f"{name}/warm-jsq", description=f"global rival: {name}")
        table[f"{name}+maestro"] = replace(
            _MAESTRO, global_name=f"{name}/maestro", description=f"global rival: {name}, Maestro below"
        )
    for name in _ROUTING_RIVALS:
        table[name] = replace(
            _PLAIN, global_name=f"fcfs/{name}", cluster_name=name, description=f"cluster rival: {name}"
        )
        table[f"{name}+maestro"] = replace(
            _MAESTRO,
            global_name=f"maestro/{name}",
            cluster_name=name,
            description=f"cluster rival: {name}, Maestro around it",
        )
    table["static-max"] = replace(
        _PLAIN, node_name="static-max", description="node rival: static max-token reservation"
    )
    table["static-max+maestro"] = replace(
        _MAESTRO, node_name="static-max", reclaim_name="vllm", description="node rival: static-max, Maestro above"
    )
    table["edf-node"] = replace(_PLAIN, node_name="edf", description="node rival: EDF admission")
    table["edf-node+maestro"] = replace(
        _MAESTRO, node_name="edf", description="node rival: EDF admission, Maestro above"
    )
    table["no-colocation"] = Triple(
        "fcfs/pinned", "pinned", "exclusive", "lru", "one model a node at a time, models pinned to nodes"
    )
    table["no-colocation+maestro"] = Triple(
        "maestro/pinned", "pinned", "exclusive", "least-harm", "No-Colocation under Maestro's global order"
    )
    return table


TABLE: dict[str, Triple] = _table()
"""All named policies."""


def policy_names() -> tuple[str, ...]:
    """Names that ``load_policy`` knows, in the order of the table."""
    return tuple(TABLE)


def _build(name: str, triple: Triple, scale: FitnessScale) -> Policy:
    return Policy(
        name=name,
        description=triple.description,
        global_rule=global_rule(triple.global_name, scale),
        cluster_rule=cluster_rule(triple.cluster_name, scale),
        node_rule=node_rule(triple.node_name, scale),
        reclaim_rule=reclaim_rule(triple.reclaim_name, scale),
        spec=name,
    )


def with_rule(policy: Policy, rule: Rule, name: str, spec: str) -> Policy:
    """The same policy with one rule exchanged for another of its tier."""
    fields = {"global": "global_rule", "cluster": "cluster_rule", "node": "node_rule", "reclaim": "reclaim_rule"}
    return replace(policy, **{fields[rule.tier]: rule}, name=name, spec=spec, description=rule.description)


def load_policy(spec: str, scenario: HasConfig | None = None) -> Policy:
    """Make a policy from its name, or from a user's rule in a Python file.

    Args:
        spec: a name of the table, or ``path/to/file.py:Name`` of a rule of the user's own, which is
            completed with Maestro's rules on the other tiers.
        scenario: chooses the frozen percentiles of Maestro's fitness; None takes the default scale.

    Returns:
        The policy; its functions compile when they are first called.

    Raises:
        MaestroError: when there is no such policy, file or rule.
    """
    scale = scale_for(scenario.config.name if scenario is not None else None)
    if is_user_spec(spec):
        rule = load_user_rule(spec)
        return with_rule(_build("maestro", _MAESTRO, scale), rule, rule.name, spec)
    if spec not in TABLE:
        raise MaestroError(
            f"no policy is called {spec!r}. {hint(spec, TABLE)} "
            f"A rule of your own is written as path/to/file.py:Name (see docs/baselines.md)."
        )
    return _build(spec, TABLE[spec], scale)
