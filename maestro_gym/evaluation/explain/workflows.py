"""Which workflows a policy saves and which it gives up, held against a reference on the same episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maestro_gym.episodes.metrics.outcome import Outcome, outcome_of
from maestro_gym.evaluation.explain.groups import (
    POPULARITY_NAMES,
    Grouping,
    named,
    periods,
    popularity_of,
    quarters,
)
from maestro_gym.evaluation.explain.pairs import Pair
from maestro_gym.evaluation.statistics import Interval, mean_intervals
from maestro_gym.predictors.predictor import nominal_s
from maestro_gym.state import CLASS_NAMES

EVERYTHING = "all workflows"


@dataclass(frozen=True)
class Fate:
    """What becomes of a group of workflows.

    Shares and seconds are means over the episodes that have such workflows.

    Attributes:
        by: What the workflows are grouped by.
        group: Name of the group.
        workflows: In all episodes.
        saved: Of them in time here and late, or unfinished, under the reference.
        given_up: The reverse.
        in_time_in_both: Of them.
        saved_share: Of the group.
        given_up_share: Of the group.
        net_share: The one minus the other, which is the difference in SLO attainment.
        completion_s: Mean completion time here minus there, of those in time in both.
    """

    by: str
    group: str
    workflows: int
    saved: int
    given_up: int
    in_time_in_both: int
    saved_share: Interval
    given_up_share: Interval
    net_share: Interval
    completion_s: Interval


def workflow_fates(pairs: Sequence[Pair], application_names: Sequence[str]) -> list[Fate]:
    """Count the workflows that are saved and given up.

    Args:
        pairs: Every episode under both.
        application_names: By the number of an application.

    Returns:
        All workflows, then every group of every grouping.
    """
    outcomes = [
        (outcome_of(pair.asked.result, blocking=False), outcome_of(pair.reference, blocking=False)) for pair in pairs
    ]
    mine, theirs = (np.concatenate([pair[side].deadline_met for pair in outcomes]) for side in range(2))
    change_s = np.concatenate([one.completion_s - other.completion_s for one, other in outcomes])
    episode = np.repeat(np.arange(len(pairs)), [len(one.deadline_s) for one, _ in outcomes])
    fates = []
    for grouping in _groupings(pairs, [one for one, _ in outcomes], application_names):
        for group, words in enumerate(grouping.names):
            chosen = grouping.places == group
            total = np.bincount(episode[chosen], minlength=len(pairs))
            parts = [chosen & mine & ~theirs, chosen & theirs & ~mine, chosen & mine & theirs]
            saved, given_up, both = (np.bincount(episode[part], minlength=len(pairs)) for part in parts)
            seconds = np.bincount(episode[parts[2]], change_s[parts[2]], minlength=len(pairs))
            rows = [*(_ratio(part, total) for part in (saved, given_up, saved - given_up)), _ratio(seconds, both)]
            saved_share, given_up_share, net_share, completion_s = mean_intervals(np.array(rows))
            fates.append(
                Fate(
                    by=grouping.by,
                    group=words,
                    workflows=int(total.sum()),
                    saved=int(saved.sum()),
                    given_up=int(given_up.sum()),
                    in_time_in_both=int(both.sum()),
                    saved_share=saved_share,
                    given_up_share=given_up_share,
                    net_share=net_share,
                    completion_s=completion_s,
                )
            )
    return fates


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _groupings(pairs: Sequence[Pair], outcomes: Sequence[Outcome], application_names: Sequence[str]) -> list[Grouping]:
    episodes = [pair.reference.episode for pair in pairs]
    world = pairs[0].reference.world
    popularity = popularity_of(world.models["popularity"])
    rarest, work_s = [], []
    for episode in episodes:
        owner = episode.stages["workflow"]
        place = np.zeros(len(episode.workflows), int)
        np.maximum.at(place, owner, popularity[episode.stages["model"]])
        rarest.append(place)
        stage_s = nominal_s(episode, world.service, episode.hidden["output_tokens"])
        work_s.append(np.bincount(owner, stage_s, minlength=len(episode.workflows)))
    workflows = np.concatenate([episode.workflows for episode in episodes])
    slack_s = np.concatenate([one.deadline_s - one.arrival_s - one.nominal_s for one in outcomes])
    return [
        Grouping("", (EVERYTHING,), np.zeros(len(workflows), int)),
        named("class", CLASS_NAMES, workflows["cls"]),
        named("application", application_names, workflows["application"]),
        named("rarest model", POPULARITY_NAMES, np.concatenate(rarest)),
        periods(workflows["arrival_s"], outcomes[0].horizon_s),
        quarters("calls", "calls", workflows["num_stages"].astype(float)),
        quarters("work", "s of service", np.concatenate(work_s)),
        quarters("slack", "s of slack", slack_s),
    ]
