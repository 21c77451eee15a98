"""What a comparison says, in sentences: who leads, and where a learned policy loses to a heuristic."""

from __future__ import annotations

import math

from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.report.best import may_be_best
from maestro_gym.evaluation.report.display import SHOWN, Shown, bounds, number
from maestro_gym.evaluation.report.told_apart import JUDGED, too_few_seeds, training_lines
from maestro_gym.evaluation.statistics import FEW_SEEDS

_MOST_NAMED = 4


def verdicts(comparison: Comparison) -> list[str]:
    """Sentences about every setting, then about trainings of which several seeds take part.

    Of a setting: the leaders, each learned policy against all heuristics, what the seeds cannot tell, the workload's
    notes.

    Args:
        comparison: What was found.
    """
    lines = []
    for setting in comparison.settings:
        lines += [_leader(comparison, setting, SHOWN[column]) for column in JUDGED]
        for policy in comparison.policies:
            if policy.learned:
                lines += [_learned(comparison, setting, policy, SHOWN[column]) for column in JUDGED]
        lines += [_illegal(comparison, setting, policy) for policy in comparison.policies]
        lines += [too_few_seeds(comparison, setting, SHOWN[column]) for column in JUDGED]
        lines += setting.notes
    lines += training_lines(comparison)
    lines = [line for line in lines if line]
    if len(comparison.seeds) < FEW_SEEDS:
        lines.append(
            f"Only {len(comparison.seeds)} seed(s): the intervals say little; use {FEW_SEEDS} or more before claiming "
            "anything."
        )
    return lines


def loses(comparison: Comparison, setting: Setting, policy: str, other: str, shown: Shown) -> bool:
    """Whether a policy is worse than another, beyond the paired 95 % interval."""
    difference = comparison.difference(setting, policy, other, shown.column)
    worse = difference.high < 0 if shown.better == "higher" else difference.low > 0
    return bool(worse)


def _leader(comparison: Comparison, setting: Setting, shown: Shown) -> str:
    sign = -1.0 if shown.better == "higher" else 1.0
    scores = {p.name: sign * comparison.cell(setting, p.name, shown.column).value.estimate for p in comparison.policies}
    scores = {name: score for name, score in scores.items() if math.isfinite(score)}
    if len(scores) < 2:
        return ""
    able = may_be_best(comparison, setting, shown)
    best = min(scores, key=lambda name: (name not in able, scores[name]))
    level = [name for name in scores if name != best and not loses(comparison, setting, name, best, shown)]
    idle = [name for name in level if name not in able]
    level = [name for name in level if name in able]
    value = comparison.cell(setting, best, shown.column).value
    line = (
        f"{setting.scenario}, {setting.contention}: {best} has the best {shown.words}, "
        f"{_value(value.estimate, shown)} {bounds(value, shown.scale)}".rstrip()
    )
    if idle:
        who = _names(idle) if len(idle) <= _MOST_NAMED else f"{len(idle)} policies"
        line += f", {who} aside, who finish too few workflows"
    if not level:
        return line + ", clearly ahead of all others."
    return line + f"; not clearly ahead of {_names(level) if len(level) <= _MOST_NAMED else f'{len(level)} others'}."


def _learned(comparison: Comparison, setting: Setting, policy: PolicyLabel, shown: Shown) -> str:
    rivals = [p.name for p in comparison.policies if not p.learned and p.information != "O"]
    behind, ahead, level = [], [], []
    for rival in rivals:
        if loses(comparison, setting, policy.name, rival, shown):
            gap = comparison.difference(setting, policy.name, rival, shown.column)
            percent = " points" if shown.scale == 100.0 else " s"
            behind.append(
                f"{rival} ({number(gap.estimate * shown.scale, signed=True)}{percent} {bounds(gap, shown.scale)})"
            )
        elif loses(comparison, setting, rival, policy.name, shown):
            ahead.append(rival)
        else:
            level.append(rival)
    parts = [f"LOSES to {_names(behind)}"] if behind else []
    parts += [f"beats {_names(ahead)}"] if ahead else []
    parts += [f"is not clearly different from {_names(level)}"] if level else []
    if not parts:
        return ""
    place = f"{setting.scenario}, {setting.contention}"
    return f"{place}: on {shown.words} the learned policy {policy.name} {'; '.join(parts)}."


def _illegal(comparison: Comparison, setting: Setting, policy: PolicyLabel) -> str:
    rows = comparison.rows
    own = (
        (rows["policy"] == policy.name)
        & (rows["scenario"] == setting.scenario)
        & (rows["contention"] == setting.contention)
    )
    count = int(rows["invalid_actions"].to_numpy()[own.to_numpy()].sum())
    if not count:
        return ""
    return (
        f"{setting.scenario}, {setting.contention}: {count:,} answers of {policy.name} were illegal; the lowest legal "
        "action was taken in their place."
    )


def _value(value: float, shown: Shown) -> str:
    return number(value * shown.scale) + (" %" if shown.scale == 100.0 else " s")


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
