"""How two answers to one decision can differ, by tier, and which stage and model a decision is about."""

from __future__ import annotations

from typing import Final, NamedTuple

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import (
    ACT_ADMIT,
    ACT_PROMOTE,
    ACT_REGROUP,
    ACT_WAIT,
    WAIT,
    is_reject,
    is_scaling,
    node_act,
    rejected_stage,
    sent_stage,
)
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NODE
from maestro_gym.scheduling.view import (
    model_of,
    node_to_serve,
    num_queued,
    queued_stage,
    slot_of,
    slot_running,
    slot_status,
    stage_to_route,
)
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, View


class Kind(NamedTuple):
    """One way in which two answers differ.

    Attributes:
        tier: Of the decision, TIER_*.
        words: What the policy does; ``{reference}`` stands for the name of the one it is held against.
    """

    tier: int
    words: str


SAME: Final = 0
"""Both answers are the same action."""

HOLDS, SENDS, OTHER_STAGE, OTHER_CLUSTER, REJECTS, KEEPS, SCALES = range(1, 8)
_GLOBAL = (
    "holds a stage that {reference} would send",
    "sends a stage that {reference} would hold",
    "sends another stage first",
    "sends the stage to another cluster",
    "turns a workflow away that {reference} keeps",
    "keeps a workflow that {reference} turns away",
    "starts or stops another node, or none",
)

BATCH_THERE, IDLE_THERE, LOADING_THERE, ABSENT_THERE = range(4)
"""What a node has of a stage's model: a batch that runs, an engine at rest, one that loads, none that is awake."""

_TAKEN = ("joins a running batch", "takes an idle engine", "waits for a loading engine", "starts the model")
_TAKEN_TOO = (
    "joins another running batch",
    "takes another idle engine",
    "waits for another loading engine",
    "starts the model elsewhere",
)
_LEFT = ("a running batch", "an idle engine", "a loading engine", "a start of the model")
_STATES = len(_TAKEN)
FIRST_NODES: Final = SCALES + 1
"""Of the kinds of the cluster tier: by what the policy's node has of the model, then by what the other node has."""

FIRST_CROWDED: Final = FIRST_NODES + _STATES * _STATES
"""Of those where both nodes have the same of the model and the policy's has as many stages, or more."""

(
    WAITS_NOT_ADMITS,
    WAITS_NOT_PROMOTES,
    ADMITS_NOT_WAITS,
    ADMITS_NOT_PROMOTES,
    PROMOTES_NOT_WAITS,
    PROMOTES_NOT_ADMITS,
    OTHER_ADMISSION,
    OTHER_RESERVATION,
    OTHER_MODEL,
    OTHER_ACTION,
    REGROUPS,
) = range(FIRST_CROWDED + _STATES, FIRST_CROWDED + _STATES + 11)
_NODE = (
    "waits where {reference} would admit a stage",
    "waits where {reference} would promote a model",
    "admits a stage where {reference} would wait",
    "admits a stage where {reference} would promote a model",
    "promotes a model where {reference} would wait",
    "promotes a model where {reference} would admit a stage",
    "admits another stage first",
    "admits the stage at another reservation",
    "promotes another model",
    "differs in a demotion",
    "regroups the GPUs of a board otherwise, or does not",
)


def _nodes(mine: int, theirs: int) -> str:
    return f"{_TAKEN_TOO[mine]}, less crowded" if mine == theirs else f"{_TAKEN[mine]}, not {_LEFT[theirs]}"


KINDS: tuple[Kind | None, ...] = (
    None,
    *(Kind(TIER_GLOBAL, words) for words in _GLOBAL),
    *(Kind(TIER_CLUSTER, _nodes(mine, theirs)) for mine in range(_STATES) for theirs in range(_STATES)),
    *(Kind(TIER_CLUSTER, f"{taken}, as crowded or more") for taken in _TAKEN_TOO),
    *(Kind(TIER_NODE, words) for words in _NODE),
)
"""By number; `SAME` is none."""


@njit
def _there(view: View, e: int, node: int, model: int) -> int:
    """What a node has of a model, ``*_THERE``."""
    slot = slot_of(view, e, node, model)
    if slot < 0:
        return ABSENT_THERE
    status = slot_status(view, e, node, slot)
    if status == ENGINE_LOADING:
        return LOADING_THERE
    if status != ENGINE_AWAKE:
        return ABSENT_THERE
    return BATCH_THERE if slot_running(view, e, node, slot) > 0 else IDLE_THERE


@njit
def _node_kind(view: View, mine: int, theirs: int) -> int:
    """Kind of two different answers of a node."""
    act, subject, _ = node_act(view, mine)
    other, other_subject, _ = node_act(view, theirs)
    if ACT_REGROUP in (act, other):
        return REGROUPS
    if act == ACT_WAIT and other == ACT_ADMIT:
        return WAITS_NOT_ADMITS
    if act == ACT_WAIT and other == ACT_PROMOTE:
        return WAITS_NOT_PROMOTES
    if act == ACT_ADMIT and other == ACT_WAIT:
        return ADMITS_NOT_WAITS
    if act == ACT_ADMIT and other == ACT_PROMOTE:
        return ADMITS_NOT_PROMOTES
    if act == ACT_PROMOTE and other == ACT_WAIT:
        return PROMOTES_NOT_WAITS
    if act == ACT_PROMOTE and other == ACT_ADMIT:
        return PROMOTES_NOT_ADMITS
    if act == ACT_ADMIT and other == ACT_ADMIT:
        return OTHER_RESERVATION if subject == other_subject else OTHER_ADMISSION
    return OTHER_MODEL if act == ACT_PROMOTE and other == ACT_PROMOTE else OTHER_ACTION


@njit
def kind_of(view: View, e: int, tier: int, mine: int, theirs: int) -> int:
    """How two answers to the pending decision differ.

    Args:
        view: The state at the moment of the decision.
        e: Environment.
        tier: Of the decision.
        mine: The answer that is carried out.
        theirs: The answer of the other policy.

    Returns:
        A number of `KINDS`, `SAME` where they are one.
    """
    if mine == theirs:
        return SAME
    if tier == TIER_GLOBAL:
        if is_scaling(view, mine) or is_scaling(view, theirs):
            return SCALES
        if is_reject(view, mine):
            return OTHER_STAGE if is_reject(view, theirs) else REJECTS
        if is_reject(view, theirs):
            return KEEPS
        if mine == WAIT:
            return HOLDS
        if theirs == WAIT:
            return SENDS
        return OTHER_CLUSTER if sent_stage(view, mine) == sent_stage(view, theirs) else OTHER_STAGE
    if tier == TIER_NODE:
        return _node_kind(view, mine, theirs)
    model = model_of(view, e, stage_to_route(view, e))
    here, there = _there(view, e, mine, model), _there(view, e, theirs, model)
    if here == there and stages_at(view, e, mine) >= stages_at(view, e, theirs):
        return FIRST_CROWDED + here
    return FIRST_NODES + here * _STATES + there


@njit
def stage_of(view: View, e: int, tier: int, action: int) -> int:
    """The stage that an answer to the pending decision moves, -1 where it moves none."""
    if tier == TIER_GLOBAL:
        if is_scaling(view, action):
            return -1
        if is_reject(view, action):
            return rejected_stage(view, action)
        return -1 if action == WAIT else sent_stage(view, action)
    if tier == TIER_CLUSTER:
        return stage_to_route(view, e)
    act, subject, _ = node_act(view, action)
    node = node_to_serve(view, e)
    return queued_stage(view, e, node, subject) if act == ACT_ADMIT and subject < num_queued(view, e, node) else -1


@njit
def model_moved(view: View, e: int, tier: int, action: int) -> int:
    """The model of the stage that an answer moves, or the one that it promotes; -1 where there is neither."""
    stage = stage_of(view, e, tier, action)
    if stage >= 0:
        return model_of(view, e, stage)
    if tier != TIER_NODE:
        return -1
    act, subject, _ = node_act(view, action)
    return subject if act == ACT_PROMOTE else -1
