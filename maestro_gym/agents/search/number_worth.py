"""What each number of a policy is worth.

Every number is taken back to its family's default, alone, on the same episodes: the loss is what it is worth in this
policy. Numbers that stand in for each other are worth little one by one; the last rows take back a whole part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maestro_gym.agents.search.evaluate import MEASURES, Evaluator, Trial
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.explanation import Worth
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.statistics import paired_differences
from maestro_gym.scheduling.policy import Policy


def number_worths(policy: Policy, scenario: Scenario, seeds: Sequence[int], split: str = "validation") -> list[Worth]:
    """Take every number of a policy back to its default, in turn.

    Args:
        policy: Of any family, or of none.
        scenario: Where.
        seeds: One episode each.
        split: Split of the episodes.

    Returns:
        The numbers that differ from their default, the most valuable for SLO attainment first; then the parts. Nothing
        for a policy without numbers.
    """
    family = policy.family
    if family is None:
        return []
    own, plain = np.array(policy.numbers), np.array(family.in_view(family.defaults()))
    changed = np.flatnonzero(own != plain).tolist()
    parts = {name: [family.first + place for place in places] for name, places in family.parts.items()}
    taken = [[place] for place in changed] + list(parts.values())
    candidates = np.tile(own, (len(taken) + 1, 1))
    for row, places in enumerate(taken, 1):
        candidates[row, places] = plain[places]
    trials = [Trial(row, 0, split, seed) for seed in seeds for row in range(len(candidates))]
    table = np.empty((len(candidates), len(seeds), len(MEASURES)))
    evaluator = Evaluator([scenario], [policy])
    with WorkProgress("taking numbers back", "episodes", len(trials)) as progress:
        for done, (trial, measures) in enumerate(evaluator.run(candidates, trials), 1):
            table[trials[trial].candidate, list(seeds).index(trials[trial].seed)] = measures
            progress.update(done)
    whole = np.broadcast_to(table[0], table[1:].shape)
    slo = paired_differences(whole[..., 0], table[1:, :, 0])
    completion_s = paired_differences(whole[..., 1], table[1:, :, 1])
    rows = []
    for row, places in enumerate(taken):
        if row < len(changed):
            number = family.numbers[places[0] - family.first]
            about = (number.name, own[places[0]], number.default, number.unit)
            rows.append(Worth(*about, slo[row], completion_s[row], number.meaning))
    rows.sort(key=lambda worth: -worth.slo.estimate)
    for row, name in enumerate(parts, len(changed)):
        rows.append(Worth(f"all of {name}", np.nan, np.nan, "", slo[row], completion_s[row], f"All numbers of {name}."))
    return rows
