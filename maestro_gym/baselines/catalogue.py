"""The parts that policies are made of: every rule of every tier, by name.

A global rule is an order of the ready stages and a placement, written ``order/placement``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from maestro_gym.baselines.cluster_rules import make_fitness_rule, make_routing_rule
from maestro_gym.baselines.exclusive_node_rule import make_exclusive_rule
from maestro_gym.baselines.fitness import FitnessScale
from maestro_gym.baselines.global_rules import make_fitness_global_rule, make_global_rule
from maestro_gym.baselines.keys import (
    ORDER_CLASS_FCFS,
    ORDER_EDF,
    ORDER_FCFS,
    ORDER_LAS,
    ORDER_MAESTRO,
    ORDER_MAESTRO_NO_PREEMPTION,
    ORDER_ORACLE_SRTF,
    ORDER_RANDOM,
    ORDER_SJF,
    ORDER_SRTF,
    ORDER_WORKFLOW_FCFS,
)
from maestro_gym.baselines.node_rules import make_node_rule
from maestro_gym.baselines.reclaim_rules import (
    RECLAIM_BY_AGE,
    RECLAIM_BY_HARM,
    RECLAIM_LAST_ADMITTED,
    make_reclaim_rule,
)
from maestro_gym.baselines.routing import (
    ROUTE_AFFINITY,
    ROUTE_DYNAMO,
    ROUTE_FREENESS,
    ROUTE_JSQ,
    ROUTE_LEAST_KV,
    ROUTE_LLM_D,
    ROUTE_PINNED,
    ROUTE_POWER_OF_TWO,
    ROUTE_RANDOM,
    ROUTE_ROUND_ROBIN,
    ROUTE_START_TIME,
    ROUTE_WARM_JSQ,
)
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, Rule, RuleFunction
from maestro_gym.state import RESERVE_ADAPTIVE, RESERVE_MAX, RESERVE_PROMPT


@dataclass(frozen=True)
class Part:
    """One order, routing, node or reclaim rule: what it reads and does, and how it is made.

    Attributes:
        information: N, P or O.
        description: one line.
        source: where it comes from, with the label of ``docs/baselines.md``.
        choice: what had to be chosen here.
        code: the constant of an order or of a routing; unused by the rest.
        make: builds the rule from the scenario's fitness scale; None for orders and routings.
    """

    information: str
    description: str
    source: str
    choice: str = ""
    code: int = 0
    make: Callable[[FitnessScale], RuleFunction] | None = None


_FOLKLORE = "textbook"

ORDERS: dict[str, Part] = {
    "fcfs": Part("N", "first ready, first sent", _FOLKLORE, code=ORDER_FCFS),
    "workflow-fcfs": Part(
        "N", "workflow that arrived first", "Continuum (program-level FCFS)", code=ORDER_WORKFLOW_FCFS
    ),
    "edf": Part("N", "workflow with the earliest deadline", _FOLKLORE, code=ORDER_EDF),
    "sjf": Part("P", "shortest predicted service of the stage itself", _FOLKLORE, code=ORDER_SJF),
    "srtf": Part("P", "shortest predicted T_rem of the workflow", "Maestro F5 without classes", code=ORDER_SRTF),
    "oracle-srtf": Part("O", "shortest true remaining time", "Maestro's baseline list", code=ORDER_ORACLE_SRTF),
    "random": Part("N", "a random stage", _FOLKLORE, code=ORDER_RANDOM),
    "las": Part(
        "N",
        "workflow with the least attained service",
        "Agentix PLAS (V-2nd)",
        "continuous key in place of discretised queues",
        code=ORDER_LAS,
    ),
    "maestro": Part(
        "P",
        "interactive first, then SRTF on T_rem with aging; boundary preemption with a cooldown",
        "Maestro F9 (V-author)",
        "F10 (I): key = T_rem - 1.0 * wait; after a boundary preemption the workflow's next one within 5 s is safe",
        code=ORDER_MAESTRO,
    ),
    "maestro-no-preemption": Part(
        "P",
        "as maestro, but later stages of started workflows go before first stages of their class",
        "ablation of Maestro F9",
        code=ORDER_MAESTRO_NO_PREEMPTION,
    ),
    "class-fcfs": Part("N", "interactive first, then first ready", "ablation of Maestro F9", code=ORDER_CLASS_FCFS),
}

ROUTINGS: dict[str, Part] = {
    "random": Part("N", "a random node", _FOLKLORE, code=ROUTE_RANDOM),
    "round-robin": Part("N", "nodes in turn", _FOLKLORE, code=ROUTE_ROUND_ROBIN),
    "jsq": Part("N", "fewest stages waiting, on the way or running", _FOLKLORE, code=ROUTE_JSQ),
    "warm-jsq": Part(
        "N", "jsq among nodes where the model is RUNNING or loading, else jsq", _FOLKLORE, code=ROUTE_WARM_JSQ
    ),
    "power-of-two": Part("N", "the shorter of two random queues", "AIBrix power-of-two (V)", code=ROUTE_POWER_OF_TWO),
    "least-kv": Part("N", "smallest share of the KV pool in use", "AIBrix least-kv-cache (V)", code=ROUTE_LEAST_KV),
    "session-affinity": Part(
        "N",
        "where the workflow's last stage ran if the model is warm there, else warm-jsq",
        "AIBrix session-affinity (V)",
        "a prefix lives in one model's engine, so affinity needs the model to be warm",
        code=ROUTE_AFFINITY,
    ),
    "pinned": Part(
        "N",
        "jsq among the nodes that the model is pinned to",
        "Maestro's No-Colocation baseline",
        "models dealt to nodes in a snake by popularity; with more models than nodes they take turns",
        code=ROUTE_PINNED,
    ),
    "llumnix": Part(
        "N",
        "most free KV a request",
        "Llumnix freeness (V), dispatch only",
        "waiting demand counted as prompts; warm nodes first; no live migration",
        code=ROUTE_FREENESS,
    ),
    "serverlessllm": Part(
        "P",
        "earliest estimated start: queue + load",
        "ServerlessLLM (V argmin)",
        "queue estimate is the node's predicted work; no migration",
        code=ROUTE_START_TIME,
    ),
    "llm-d": Part(
        "N",
        "3 * prefix hit + 2 * KV headroom + 2 * queue score",
        "llm-d scorer (V-2nd)",
        "queue score 1 / (1 + waiting); warm nodes first",
        code=ROUTE_LLM_D,
    ),
    "dynamo": Part(
        "N",
        "fewest prefill blocks to compute plus active blocks",
        "NVIDIA Dynamo KV router (V)",
        "warm nodes first",
        code=ROUTE_DYNAMO,
    ),
}

_FITNESS_SOURCE = "Maestro F1-F4 (V-author)"
_FITNESS_CHOICE = "split of A (I): prefix time saved - network there and back (x 2 if interactive) - queue wait"

FITNESSES: dict[str, Part] = {
    "maestro": Part(
        "P",
        "largest A - T_ready - C_deg, terms normalised by frozen percentiles",
        _FITNESS_SOURCE,
        _FITNESS_CHOICE,
        code=1,
    ),
    "maestro-raw": Part("P", "as maestro, terms in raw time", _FITNESS_SOURCE, _FITNESS_CHOICE, code=0),
}

NODES: dict[str, Part] = {
    "vllm": Part(
        "N",
        "FCFS in every engine, head of line; reserves the prompt and one token, the rest grows page by page",
        "vLLM V1 scheduler",
        "a page is limits.growth_bytes, where vLLM takes one block",
        make=lambda _: make_node_rule(ORDER_FCFS, RESERVE_PROMPT, True),
    ),
    "static-max": Part(
        "N",
        "as vllm, but prompt + max_output_tokens are reserved",
        "static max-token reservation",
        make=lambda _: make_node_rule(ORDER_FCFS, RESERVE_MAX, True),
    ),
    "edf": Part(
        "P",
        "EDF among what fits, adaptive reservation",
        _FOLKLORE,
        make=lambda _: make_node_rule(ORDER_EDF, RESERVE_ADAPTIVE, False),
    ),
    "maestro": Part(
        "P",
        "global order among what fits, reservation (1 + rho), promotion of wanted models, draining",
        "Maestro F7-F9 (V-author)",
        "patience before engines drain: max(2 s, T_ready)",
        make=lambda _: make_node_rule(ORDER_MAESTRO, RESERVE_ADAPTIVE, False),
    ),
    "maestro-max": Part(
        "P",
        "as maestro, but prompt + max_output_tokens are reserved",
        "ablation of Maestro F7",
        make=lambda _: make_node_rule(ORDER_MAESTRO, RESERVE_MAX, False),
    ),
    "class-fcfs": Part(
        "P",
        "interactive first, then FCFS among what fits, adaptive reservation",
        "ablation of Maestro F9",
        make=lambda _: make_node_rule(ORDER_CLASS_FCFS, RESERVE_ADAPTIVE, False),
    ),
    "class-fcfs-max": Part(
        "N",
        "interactive first, then FCFS among what fits, prompt + max_output_tokens reserved",
        "ablation of Maestro F7 and F9",
        make=lambda _: make_node_rule(ORDER_CLASS_FCFS, RESERVE_MAX, False),
    ),
    "exclusive": Part(
        "P",
        "one model RUNNING at a time, FCFS, adaptive reservation, whole-node swaps",
        "Maestro's No-Colocation baseline",
        "a waiting model takes over when the owner has no work or the wait exceeds max(2 s, T_ready)",
        make=lambda _: make_exclusive_rule(RESERVE_ADAPTIVE),
    ),
}

RECLAIMS: dict[str, Part] = {
    "least-harm": Part(
        "P",
        "the action with the least harm to others a byte",
        "Maestro's degradation ladder (V-author)",
        "harm estimates of sim/estimates; models with waiting stages are spared",
        make=lambda _: make_reclaim_rule(RECLAIM_BY_HARM),
    ),
    "lru": Part(
        "N",
        "least recently used idle model sleeps, then the last admitted stage is paused",
        "hierarchical LRU (V-author)",
        make=lambda _: make_reclaim_rule(RECLAIM_BY_AGE),
    ),
    "vllm": Part(
        "N",
        "a stage that cannot grow preempts the last admitted; loads put the least recently used model to sleep",
        "vLLM V1 scheduler; sleep mode by LRU",
        make=lambda _: make_reclaim_rule(RECLAIM_LAST_ADMITTED),
    ),
}


def _more(first: str, second: str) -> str:
    return max(first, second, key=INFORMATION_CLASSES.index)


def global_rule(name: str, scale: FitnessScale) -> Rule:
    """Build the global rule ``order/placement``; ``KeyError`` when either part is unknown."""
    order_name, _, placement_name = name.partition("/")
    order = ORDERS[order_name]
    placement = FITNESSES[placement_name] if placement_name in FITNESSES else ROUTINGS[placement_name]
    if placement_name in FITNESSES:
        function = make_fitness_global_rule(order.code, scale, placement.code == 1)
    else:
        function = make_global_rule(order.code, placement.code)
    return Rule(
        name,
        "global",
        _more(order.information, placement.information),
        f"{order.description}; cluster of the best node by {placement_name}",
        order.source,
        order.choice,
        function,
    )


def cluster_rule(name: str, scale: FitnessScale) -> Rule:
    """Build a cluster rule; ``KeyError`` when it is unknown."""
    part = FITNESSES[name] if name in FITNESSES else ROUTINGS[name]
    function = make_fitness_rule(scale, part.code == 1) if name in FITNESSES else make_routing_rule(part.code)
    return Rule(name, "cluster", part.information, part.description, part.source, part.choice, function)


def _made(name: str, tier: str, part: Part, scale: FitnessScale) -> Rule:
    if part.make is None:
        raise KeyError(name)
    return Rule(name, tier, part.information, part.description, part.source, part.choice, part.make(scale))


def node_rule(name: str, scale: FitnessScale) -> Rule:
    """Build a node rule; ``KeyError`` when it is unknown."""
    return _made(name, "node", NODES[name], scale)


def reclaim_rule(name: str, scale: FitnessScale) -> Rule:
    """Build a reclaim rule; ``KeyError`` when it is unknown."""
    return _made(name, "reclaim", RECLAIMS[name], scale)
