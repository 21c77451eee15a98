"""The same episodes under a policy, which is asked about at every decision, and under a reference."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

from maestro_gym.core.threads import thread_count
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.asking import AskedEpisode, asked_episode
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.scheduling.outside import outsiders_of
from maestro_gym.scheduling.policy import Policy


class Pair(NamedTuple):
    """One episode under both.

    Attributes:
        asked: Under the policy, with what the reference would have decided.
        reference: Under the reference.
    """

    asked: AskedEpisode
    reference: EpisodeResult


def paired_episodes(
    scenario: Scenario, policy: Policy, reference: Policy, split: str, seeds: Sequence[int]
) -> list[Pair]:
    """Run the episodes under both, over all cores where both policies are compiled.

    Args:
        scenario: Where.
        policy: Who decides, and is asked about.
        reference: Who is held beside it.
        split: Split of the episodes.
        seeds: One episode each.

    Returns:
        A pair for each seed, in their order.

    Raises:
        MaestroError: A policy that decides in Python failed.
    """
    # An agent in Python has one memory for all episodes, so these come one after the other.
    threads = 1 if outsiders_of(policy) or outsiders_of(reference) else thread_count()
    # Drawn here: a scenario keeps the last few episodes, and threads would draw each anew.
    episodes = {seed: scenario.episode(split, seed, 0) for seed in seeds}

    def asked(seed: int) -> AskedEpisode:
        return asked_episode(scenario, policy, reference, split, seed, episode=episodes[seed])

    def alone(seed: int) -> EpisodeResult:
        return run_episode(scenario, reference, split, seed, 0, samples=0, episode=episodes[seed])

    with (
        WorkProgress("asking", "episodes", 2 * len(seeds)) as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        mine = [pool.submit(asked, seed) for seed in seeds]
        theirs = [pool.submit(alone, seed) for seed in seeds]
        try:
            for done, future in enumerate(as_completed([*mine, *theirs]), 1):
                future.result()
                progress.update(done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [Pair(one.result(), other.result()) for one, other in zip(mine, theirs, strict=True)]
