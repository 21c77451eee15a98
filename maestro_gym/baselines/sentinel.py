"""The sentinel of information classes: a rule is asked twice, and what it may not know is changed in between.

At decisions of a simulated episode the true future is changed for rules of class N and P, and everything that rests on
a prediction for rules of class N (the field table says what does). The answer must stay the same. It runs over every
rule of the table in the tests, and over a user's file by ``maestro-gym policies --check FILE.py:Rule``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import types

from maestro_gym.baselines.registry import load_policy, with_rule
from maestro_gym.core.boxed import box
from maestro_gym.core.compile import njit_as
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy, Rule
from maestro_gym.scheduling.tiers import (
    ALL_TIERS,
    NO_TIER,
    TIER_CONTEXT,
    TIER_GLOBAL,
    TIER_NAMES,
    TIER_NODE,
    TIER_TOOL,
)
from maestro_gym.scheduling.tool_view import rule_tier
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import ENGINE, Engine, act, open_engine, run_until
from maestro_gym.sim.reclaim import FOR_GROWTH, FOR_LOAD, list_candidates
from maestro_gym.state import Hidden, View
from maestro_gym.state.fields import arrays_of
from maestro_gym.state.types import HIDDEN, VIEW

SCENARIO = (
    "quick",
    (
        "contention=high",
        "horizon_s=90",
        "limits.admission=true",
        "limits.autoscaling.period_s=1",
        "limits.context_hold_max_s=30",
        "workload.tools={all: {places: 4}}",
    ),
)
"""Where rules are asked: crowded enough that what they may not know would matter, with all that a rule may decide."""

PLAIN, SCALING, TOOL, CONTEXT = "plain", "scaling", "tool", "context"
"""Kinds of questions: what a tier decides everywhere, how many nodes are on, whose a tool is, where a context goes."""

DECISIONS = 150
"""Decisions of each kind at which a rule is asked."""

MOST_STEPS = 20_000
"""Decisions of all tiers after which an episode is left, however few of them were the rule's."""


@njit_as(types.boolean(ENGINE, types.int64))
def take(engine: Engine, action: int) -> bool:
    """Do an action of the pending decision of environment 0; whether it was legal."""
    return act(engine, 0, int(engine.state.visible.clock[0].tier), action)


@njit_as(types.int64(ENGINE, types.int64))
def offer(engine: Engine, purpose: int) -> int:
    """Offer what could give way on the node of the pending decision; the number of candidates."""
    node = int(engine.state.visible.clock[0].place)
    list_candidates(engine.state, 0, node, -1, purpose)
    return int(engine.state.visible.reclaim_len[0])


@dataclass(frozen=True)
class Finding:
    """What the sentinel found out about one rule.

    Attributes:
        rule: Its name.
        tier: Its tier.
        information: The class that it declares.
        decisions: How often it was asked.
        scaling: How often of these nodes could be started and stopped.
        tool: How often of these it was to give a place of a tool.
        context: How often of these it was to say what becomes of a context.
        heeds: Fields that it may not know and whose change moved its answer, empty when it keeps to its class.
    """

    rule: str
    tier: str
    information: str
    decisions: int
    scaling: int
    tool: int
    context: int
    heeds: tuple[str, ...]


def predicted_fields() -> list[str]:
    """``array.field`` of everything in the view that rests on a prediction."""
    return [
        f"{name}.{field.name}".rstrip(".")
        for name, array in arrays_of(View).items()
        for field in array.fields
        if field.predicted
    ]


def column(view: View, name: str) -> np.ndarray:
    """The values of a field of the view, writable."""
    array, _, field = name.partition(".")
    return getattr(view, array)[field] if field else getattr(view, array)


def make_up(values: np.ndarray, generator: np.random.Generator) -> None:
    """Put other values of the same kind into a field: dealt anew and stretched."""
    size = 1.0 + np.abs(values[np.isfinite(values)]).max(initial=0.0)
    values[...] = generator.permutation(values.ravel()).reshape(values.shape)
    values[...] += (generator.random(values.shape) * size).astype(values.dtype)


def rule_of(policy: Policy, tier: int) -> Rule:
    """The rule that answers a decision."""
    return policy.rules[rule_tier(tier)]


def decisions(policy: Policy, scenario: Scenario, most: int = MOST_STEPS) -> Iterator[tuple[int, Simulation, object]]:
    """Play a validation episode, every decision shown before the policy takes it.

    Args:
        policy: Who decides.
        scenario: Whose validation episode is played.
        most: Decisions after which it is left.

    Yields:
        The tier that must decide (TIER_TOOL and TIER_CONTEXT where the policy has a rule for them), the simulation,
        and its boxed engine.
    """
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 0, 0))
    engine = open_engine(simulation, policy)
    # A rule that reads a truth which it may not know would read beyond an empty one; here it is caught instead.
    view, truth = box(simulation.state.visible, VIEW), box(simulation.state.hidden, HIDDEN)
    for _ in range(most):
        tier = run_until(engine, 0, ALL_TIERS | 1 << TIER_TOOL | 1 << TIER_CONTEXT)
        if tier == NO_TIER:
            return
        yield tier, simulation, engine
        take(engine, int(rule_of(policy, tier).function(view, truth, 0)))


def _changed(hidden: Hidden, generator: np.random.Generator) -> Hidden:
    """Another future: lengths, gaps and what remains of every stage dealt anew, other arrivals and outages."""
    other = Hidden(*(array.copy() for array in hidden))
    for name in ("output_tokens", "tool_intent", "tool_gap_s", "remaining_s", "remaining_calls"):
        make_up(other.truth[name], generator)
    for name in other.predictions.dtype.names or ():
        make_up(other.predictions[name], generator)
    make_up(other.workflows["arrival_s"], generator)
    make_up(other.outages["time_s"], generator)
    return other


def examine(rule: Rule, companions: Policy | None = None, scenario: Scenario | None = None) -> Finding:
    """Ask a rule at the decisions of an episode, with what it may not know as it is and changed.

    Args:
        rule: Who is asked.
        companions: Rules of the other tiers; None takes plain ones.
        scenario: Where; None takes ``SCENARIO``.

    Returns:
        What moved its answer although it declares not to know it.
    """
    scenario = scenario or Scenario.load(*SCENARIO)
    policy = with_rule(companions or load_policy("fcfs"), rule, rule.name, "")
    generator = np.random.default_rng(0)
    forbidden = predicted_fields() if rule.information == "N" else []
    heeds: dict[str, None] = {}
    asked, together = dict.fromkeys(_kinds(rule, scenario), 0), False
    for tier, simulation, engine in decisions(policy, scenario):
        kind = _kind(tier, simulation)
        if asked.get(kind, DECISIONS) >= DECISIONS:
            continue
        for pending in _pending(rule.tier, tier, engine):
            asked[kind] += pending
            answer = asker(rule, simulation)
            truth = simulation.state.hidden
            first = answer(truth)
            if rule.information != "O" and answer(_changed(truth, generator)) != first:
                heeds["the true future"] = None
            if forbidden and answer_without(forbidden, simulation, answer, generator) != first:
                alone = [n for n in forbidden if answer_without([n], simulation, answer, generator) != first]
                heeds |= dict.fromkeys(alone)
                together = True
        if min(asked.values()) >= DECISIONS:
            break
    if together and not heeds.keys() & set(forbidden):
        heeds["several predictions together"] = None
    return Finding(
        rule.name,
        rule.tier,
        rule.information,
        decisions=sum(asked.values()),
        scaling=asked.get(SCALING, 0),
        tool=asked.get(TOOL, 0),
        context=asked.get(CONTEXT, 0),
        heeds=tuple(heeds),
    )


def _kinds(rule: Rule, scenario: Scenario) -> tuple[str, ...]:
    """Kinds of questions that a rule may be asked in a scenario."""
    params = scenario.world.params[0]
    kinds = {
        PLAIN: True,
        SCALING: rule.tier == "global" and float(params["scale_period_s"]) > 0.0,
        TOOL: rule.orders_tools and len(scenario.world.tools) > 0,
        CONTEXT: rule.decides_contexts and float(params["context_hold_max_s"]) > 0.0,
    }
    return tuple(kind for kind, is_asked in kinds.items() if is_asked)


def _kind(tier: int, simulation: Simulation) -> str:
    """The kind of the pending question."""
    if tier in (TIER_TOOL, TIER_CONTEXT):
        return TOOL if tier == TIER_TOOL else CONTEXT
    return SCALING if tier == TIER_GLOBAL and int(simulation.state.visible.clock[0]["scaling"]) == 1 else PLAIN


def _pending(wanted: str, tier: int, engine: object) -> Iterator[bool]:
    """Once for each question of the wanted tier that can be put now."""
    if wanted == "reclaim":
        if tier == TIER_NODE:
            for purpose in (FOR_LOAD, FOR_GROWTH):
                if offer(engine, purpose) > 1:  # pyright: ignore[reportArgumentType] - a box
                    yield True
    elif TIER_NAMES[rule_tier(tier)] == wanted:
        yield True


def asker(rule: Rule, simulation: Simulation) -> Callable[[Hidden], int]:
    """A function of the future that asks the rule, its notes as they are every time and nothing noted of blocks."""
    view = simulation.state.visible
    notes = view.memory.copy(), view.model_memory.copy(), view.tenant_memory.copy()
    boxed = box(view, VIEW)

    def answer(hidden: Hidden) -> int:
        view.block_notes["order"] = 0
        action = int(rule.function(boxed, box(hidden, HIDDEN), 0))
        view.memory[:], view.model_memory[:], view.tenant_memory[:] = notes
        return action

    return answer


def answer_without(
    names: list[str], simulation: Simulation, answer: Callable[[Hidden], int], generator: np.random.Generator
) -> int:
    """The answer with some fields of the view made up; they are as before afterwards."""
    view = simulation.state.visible
    kept = [column(view, name).copy() for name in names]
    for name in names:
        make_up(column(view, name), generator)
    action = answer(simulation.state.hidden)
    for name, values in zip(names, kept, strict=True):
        column(view, name)[...] = values
    return action


def examine_rules(policy: Policy, rules: Sequence[Rule], scenario: Scenario | None = None) -> list[Finding]:
    """Examine some rules of a policy, each among its companions."""
    scenario = scenario or Scenario.load(*SCENARIO)
    return [examine(rule, policy, scenario) for rule in rules]
