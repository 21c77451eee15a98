"""A rule that decides by an agent's observation: the very arrays that the agent's environment shows.

Compiled networks and agents in Python enter here alike, as a compiled choice among candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from maestro_gym.core.compile import compile_fresh, njit
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.additions import ADDITIONS
from maestro_gym.envs.observation.layout import TIER_SPECS, Layout, TierSpec
from maestro_gym.envs.observation.observe import observe
from maestro_gym.scheduling.policy import Rule, RuleFunction
from maestro_gym.state import Hidden, View

Choice = Callable[[int, float, np.ndarray, np.ndarray, np.ndarray], int]
"""``(e, now_s, candidates, context, mask) -> row``, compiled; -1 for none. Arrays as of `observe`."""

AgentRule = TypeVar("AgentRule", bound=Rule)

NO_ANSWER = -1
"""No action has this code: it counts as an illegal answer, and the lowest legal action is taken."""


def encoder_fingerprint(spec: TierSpec, *, predictions: bool) -> str:
    """What identifies an observation: whose it is with what additions, and names, scales and order of its columns.

    Args:
        spec: What is shown.
        predictions: Whether predicted columns are filled.

    Returns:
        Such as ``node-P-0123456789ab``, or ``global+tools+scaling-P-...`` where switches of a scenario add to it.
    """
    columns = [(c.name, c.scale, c.low) for c in (*spec.row_columns, *spec.context_columns)]
    digest = hashlib.sha256(repr((len(spec.row_columns), columns)).encode()).hexdigest()[:12]
    return f"{'+'.join((spec.name, *spec.additions))}-{'P' if predictions else 'N'}-{digest}"


def spec_of_encoder(encoder: str, tier: str, *, predictions: bool) -> TierSpec:
    """From what identifies an observation to what it shows.

    Args:
        encoder: As of `encoder_fingerprint`.
        tier: A name of ``TIER_SPECS``, whose it must be.
        predictions: Whether predicted columns must be filled.

    Raises:
        MaestroError: This version of the environments shows nothing of that name.
    """
    names = encoder.partition("-")[0].split("+")[1:]
    spec = TIER_SPECS[tier].with_additions(name for name in names if name in ADDITIONS)
    written = encoder_fingerprint(spec, predictions=predictions)
    if encoder != written:
        raise MaestroError(
            f"it learned to read the observation {encoder!r}, this version writes {written!r}. Train it again with "
            "this version"
        )
    return spec


def answering(rule: AgentRule, spec: TierSpec) -> AgentRule:
    """An agent's rule that also answers the questions which additions to its observation bring to its tier."""
    return replace(
        rule,
        orders_tools=rule.tier == "global" and "tools" in spec.additions,
        decides_contexts=rule.tier == "node" and "contexts" in spec.additions,
        chooses_degree=rule.tier == "node" and "degrees" in spec.additions,
    )


@njit
def _in_system(view: View, e: int) -> int:
    """Workflows that have arrived and are neither finished nor rejected; rows are in order of arrival."""
    count = 0
    for w in range(view.workflows.shape[1]):
        record = view.workflows[e, w]
        if float(record.arrival_s) == np.inf:
            break
        if min(float(record.finished_s), float(record.rejected_s)) == np.inf:
            count += 1
    return count


def observer(layout: Layout) -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Make a function that writes the observation of the pending decision.

    Args:
        layout: Of the observation.

    Returns:
        ``(view, oracle, e) -> candidates, context, mask, codes``, compiled for this layout; arrays as of `observe`.
    """
    frozen, rows = layout.record, layout.num_actions
    columns, length = len(layout.spec.row_columns), len(layout.spec.context_columns)
    window = int(layout.record[0]["window"])

    def write(view: View, oracle: Hidden, e: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        candidates = np.zeros((rows, columns), np.float32)
        context = np.zeros(length, np.float32)
        mask = np.zeros(rows, np.bool_)
        codes = np.zeros(rows, np.int64)
        observe(
            view,
            oracle,
            e,
            int(view.clock[e].tier),
            _in_system(view, e),
            frozen.copy(),
            np.zeros((3, window), np.int64),
            np.zeros((3, window), np.int64),
            np.zeros((3, window), np.float64),
            np.zeros(window, np.int64),
            candidates,
            context,
            mask,
            codes,
        )
        return candidates, context, mask, codes

    return compile_fresh(write)


def observed_rule(layout: Layout, choose: Choice) -> RuleFunction:
    """Make the function of a rule that writes the observation and lets one choose among the candidates.

    Args:
        layout: Of the observation.
        choose: Compiled.

    Returns:
        The function, compiled for this layout; it answers for every tier of the layout.
    """
    write = observer(layout)

    def decide(view: View, oracle: Hidden, e: int) -> int:
        candidates, context, mask, codes = write(view, oracle, e)
        best = choose(e, float(view.clock[e].now_s), candidates, context, mask)
        return codes[best] if best >= 0 else NO_ANSWER

    return compile_fresh(decide)
