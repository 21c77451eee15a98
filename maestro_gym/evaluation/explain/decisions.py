"""How often and where the decisions of a policy differ from those of a reference, on the policy's own trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maestro_gym.evaluation.explain.asking import AskedEpisode
from maestro_gym.evaluation.explain.groups import POPULARITY_NAMES, Grouping, named, popularity_of, quarters
from maestro_gym.evaluation.explain.kinds import KINDS, OTHER_ADMISSION, OTHER_STAGE, SAME
from maestro_gym.evaluation.statistics import Interval, mean_intervals
from maestro_gym.scheduling.tiers import TIER_NAMES
from maestro_gym.state import CLASS_NAMES

_ORDER_KINDS = (OTHER_STAGE, OTHER_ADMISSION)
"""Kinds in which both move a stage and only which one differs."""


@dataclass(frozen=True)
class TierDifference:
    """How often one tier decides otherwise.

    Attributes:
        tier: One of ``TIER_NAMES``.
        decisions: Of an episode, mean.
        differ: Share of them that the reference would take otherwise; mean over episodes.
    """

    tier: str
    decisions: float
    differ: Interval


@dataclass(frozen=True)
class KindDifference:
    """One way in which a tier decides otherwise.

    Attributes:
        tier: One of ``TIER_NAMES``.
        words: What the policy does.
        decisions: Of an episode, mean.
        share: Of the tier's decisions; mean over episodes.
        stages: Different stages that it befalls in an episode, mean: a stage that is held is asked about again and
            again. nan where the decisions are not about stages.
        at_once: Share of these decisions after which the stage that the reference would have moved is moved at the same
            instant, so that only the order differs; nan where that cannot be.
    """

    tier: str
    words: str
    decisions: float
    share: Interval
    stages: float
    at_once: float


@dataclass(frozen=True)
class PlaceDifference:
    """How often a tier decides otherwise in one group of its decisions.

    Attributes:
        tier: One of ``TIER_NAMES``.
        by: What the decisions are grouped by.
        group: Name of the group.
        decisions: Of an episode, mean.
        differ: Share of them that the reference would take otherwise; mean over the episodes that have any.
    """

    tier: str
    by: str
    group: str
    decisions: float
    differ: Interval


@dataclass(frozen=True)
class Differences:
    """All that is said of decisions.

    Attributes:
        tiers: A row each tier.
        kinds: What occurs, by tier, the most frequent first.
        places: By tier, then by what they are grouped by.
    """

    tiers: list[TierDifference]
    kinds: list[KindDifference]
    places: list[PlaceDifference]


def decision_differences(asked: Sequence[AskedEpisode], reference: str) -> Differences:
    """Count the decisions that differ.

    Args:
        asked: The policy's episodes.
        reference: Name of who was asked.
    """
    decisions = np.concatenate([one.decisions for one in asked])
    episode = np.repeat(np.arange(len(asked)), [len(one.decisions) for one in asked])
    differs = decisions["kind"] != SAME
    moved = np.concatenate([_moved_at_once(one.decisions) for one in asked])
    groupings = _groupings(asked, decisions)
    tiers, kinds, places = [], [], []
    for tier, name in enumerate(TIER_NAMES):
        of_tier = decisions["tier"] == tier
        total = _counts(episode, of_tier, len(asked))
        share = _share(_counts(episode, of_tier & differs, len(asked)), total)
        tiers.append(TierDifference(name, float(total.mean()), share))
        found = []
        for number, kind in enumerate(KINDS):
            chosen = decisions["kind"] == number
            if kind is None or kind.tier != tier or not chosen.any():
                continue
            count = _counts(episode, chosen, len(asked))
            stages = np.where(decisions["stage"] >= 0, decisions["stage"], decisions["other_stage"])[chosen]
            distinct = len(np.unique(np.stack([episode[chosen], stages])[:, stages >= 0], axis=1).T) / len(asked)
            found.append(
                KindDifference(
                    name,
                    kind.words.format(reference=reference),
                    float(count.mean()),
                    _share(count, total),
                    distinct if (stages >= 0).any() else float("nan"),
                    float(moved[chosen].mean()) if number in _ORDER_KINDS else float("nan"),
                )
            )
        kinds += sorted(found, key=lambda kind: -kind.decisions)
        for grouping in groupings:
            for group, words in enumerate(grouping.names):
                chosen = of_tier & (grouping.places == group)
                count = _counts(episode, chosen, len(asked))
                if count.any():
                    share = _share(_counts(episode, chosen & differs, len(asked)), count)
                    places.append(PlaceDifference(name, grouping.by, words, float(count.mean()), share))
    return Differences(tiers, kinds, places)


def _counts(episode: np.ndarray, chosen: np.ndarray, episodes: int) -> np.ndarray:
    return np.bincount(episode[chosen], minlength=episodes)


def _share(part: np.ndarray, whole: np.ndarray) -> Interval:
    """Mean over episodes, those without any left out."""
    return mean_intervals(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))[0]


def _moved_at_once(decisions: np.ndarray) -> np.ndarray:
    """Whether the stage that the other would move is moved by the same tier at the same instant; bool, one a row."""
    keys = ("now_s", "tier", "stage")
    done = {row for row in zip(*(decisions[key].tolist() for key in keys), strict=True) if row[2] >= 0}
    wanted = zip(*(decisions[key].tolist() for key in ("now_s", "tier", "other_stage")), strict=True)
    return np.fromiter((row in done for row in wanted), bool, len(decisions))


def _groupings(asked: Sequence[AskedEpisode], decisions: np.ndarray) -> list[Grouping]:
    classes = []
    for one in asked:
        stage = np.where(one.decisions["stage"] >= 0, one.decisions["stage"], one.decisions["other_stage"])
        owner = one.result.episode.stages["workflow"][stage]
        classes.append(np.where(stage >= 0, one.result.episode.workflows["cls"][owner], -1))
    popularity = popularity_of(asked[0].result.world.models["popularity"])
    model = decisions["model"]
    return [
        quarters("backlog", "stages/node waiting globally", decisions["ready_per_node"]),
        quarters("load", "stages/node sent", decisions["stages_per_node"]),
        named("class", CLASS_NAMES, np.concatenate(classes)),
        named("model", POPULARITY_NAMES, np.where(model >= 0, popularity[model], -1)),
    ]
