"""The answer of a comparison in one sentence, and who stands where in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.report.best import may_be_best
from maestro_gym.evaluation.report.display import SHOWN, Shown, bounds, number
from maestro_gym.evaluation.report.verdicts import loses
from maestro_gym.evaluation.statistics import Interval

_MOST_NAMED = 3


@dataclass(frozen=True)
class Standing:
    """Where a policy stands on a metric in a setting.

    Attributes:
        policy: The policy.
        value: Its mean, with its interval, in the shown unit.
    """

    policy: PolicyLabel
    value: Interval


def standings(comparison: Comparison, setting: Setting, shown: Shown) -> list[Standing]:
    """The policies of which a metric is known, best first; after them those that may not be best, see `may_be_best`.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
        shown: The metric.
    """
    found = []
    for policy in comparison.policies:
        value = comparison.cell(setting, policy.name, shown.column).value
        if math.isfinite(value.estimate):
            low, middle, high = (end * shown.scale for end in (value.low, value.estimate, value.high))
            found.append(Standing(policy, Interval(middle, low, high, value.n)))
    sign, able = -1.0 if shown.better == "higher" else 1.0, may_be_best(comparison, setting, shown)
    return sorted(found, key=lambda standing: (standing.policy.name not in able, sign * standing.value.estimate))


def hardest(comparison: Comparison) -> Setting:
    """The setting that the answer is about: the highest load of the first scenario."""
    first = comparison.settings[0].scenario
    return max((s for s in comparison.settings if s.scenario == first), key=lambda setting: setting.load)


def answer(comparison: Comparison) -> str:
    """Who keeps the most deadlines, by how much, and ahead of whom; oracles, which cannot be built, are left out.

    Args:
        comparison: What was found.
    """
    setting, shown = hardest(comparison), SHOWN["slo_attainment"]
    place = f"On {setting.scenario} at {setting.contention} contention"
    able = [s for s in standings(comparison, setting, shown) if s.policy.information != "O"]
    if not able:
        return f"{place} nothing was measured."
    best, *others = able
    value = f"{number(best.value.estimate)} % {bounds(best.value, 1.0)}".rstrip()
    sentence = f"{place} {best.policy.name} meets the most deadlines: {value} of the workflows"
    if best.policy.name != comparison.reference:
        gap = comparison.cell(setting, best.policy.name, shown.column).difference
        points = f"{number(gap.estimate * shown.scale, signed=True)} points {bounds(gap, shown.scale)}".rstrip()
        sentence += f", {points} against {comparison.reference}"
    level = [s.policy.name for s in others if not loses(comparison, setting, s.policy.name, best.policy.name, shown)]
    if not others:
        return f"{sentence}."
    if not level:
        return f"{sentence}, clearly ahead of all others."
    named = ", ".join(level[:_MOST_NAMED]) + (f" and {len(level) - _MOST_NAMED} more" if level[_MOST_NAMED:] else "")
    return f"{sentence}; {len(comparison.seeds)} seeds do not tell it from {named}."
