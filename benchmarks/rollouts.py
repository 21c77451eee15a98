"""What one other answer would be worth to a policy, in the true future and in futures that nobody could know.

    python benchmarks/rollouts.py --policy searched --tier cluster
    python benchmarks/rollouts.py --policy searched --tier cluster --follow --decisions 40

At random decisions of episodes the policy's own answer and a few others are each played on by the policy, in the
episode's own future and in futures with other arrivals. The table says by look-ahead and for one decision, in workflows
that miss their deadline and in workflow-seconds in the system (less is better):

- mean, spread: mean and standard deviation of what another answer changes;
- shared: share of its mean square that different futures have in common, which is all that a scheduler can learn;
- hindsight: what the best answer for the true future gains, a bound with mere luck in it;
- foresight: what the best answer on average over the other futures gains in the true one;
- foresight, missed at the end: the same answer, judged by the whole episode.

With ``--follow`` the best answer for the true future, judged by the whole episode, is taken, and the episode goes on
from it: what an oracle reaches beside the policy's own. Ctrl-C ends either early, with the table of what is done.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from machine import machine, machine_line

from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.rollout.futures import with_arrivals_of
from maestro_gym.agents.rollout.outcome import MISSED, OUTCOMES, RESIDENCE
from maestro_gym.agents.rollout.paired import Decision, PairedFutures
from maestro_gym.cli.console import show_table
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.statistics import mean_intervals
from maestro_gym.scheduling.actions import WAIT
from maestro_gym.scheduling.tiers import AGENT_TIERS, TIER_CLUSTER
from maestro_gym.sim.engine import OWN
from maestro_gym.state import Episode

AHEAD_S = (10.0, 30.0, 60.0, 120.0, np.inf)
FIRST_S = 60.0
"""Decisions before this time meet a fleet that is still empty."""

LENDERS = 100_000
"""Training seeds from here on lend their arrivals; nothing else uses them."""

RESIDENCE_TIE = 1e-4
"""Of a missed workflow, for each workflow-second: what `--follow` chooses by where as many are missed."""


def other_answers(decision: Decision, ways: int, rng: np.random.Generator) -> list[int]:
    """Candidates other than the policy's own: waiting where it is legal, the rest drawn.

    Args:
        decision: The decision.
        ways: Answers in all, the policy's own among them.
        rng: Draws.
    """
    rows = [int(row) for row in np.flatnonzero(decision.mask) if row != decision.own]
    waits = [row for row in rows if decision.tier != TIER_CLUSTER and decision.codes[row] == WAIT]
    rest = [row for row in rows if row not in waits]
    return [*waits, *(int(row) for row in rng.permutation(rest))][: ways - 1]


def _times_s(asked: argparse.Namespace, scenario: Scenario, rng: np.random.Generator) -> list[float]:
    return sorted(rng.uniform(FIRST_S, scenario.config.horizon_s, asked.decisions))


def try_decisions(
    asked: argparse.Namespace, scenario: Scenario, paired: PairedFutures, found: list[np.ndarray]
) -> None:
    """Try other answers at random decisions and note what they change; the episodes go their own way.

    Args:
        asked: How many.
        scenario: Whose training episodes.
        paired: Plays them.
        found: Gets an array for each decision with another answer: float64, shape (answers, futures + 1, ends,
            outcomes), differences to the policy's own answer; future 0 is the true one.
    """
    rng = np.random.default_rng(asked.seed)
    count = 0
    with WorkProgress("rolling out", "decisions", asked.episodes * asked.decisions) as progress:
        for seed in range(asked.seed, asked.seed + asked.episodes):
            episode = scenario.episode("train", seed, 0)
            first = LENDERS + seed * asked.futures
            lenders = [scenario.episode("train", first + i, 0) for i in range(asked.futures)]
            for decision in paired.decisions(episode, _times_s(asked, scenario, rng), seed):
                rows = other_answers(decision, asked.ways, rng)
                if rows:
                    found.append(_try(paired, episode, lenders, decision, rows))
                count += 1
                progress.update(count)


def _try(
    paired: PairedFutures, episode: Episode, lenders: list[Episode], decision: Decision, rows: list[int]
) -> np.ndarray:
    ends_s = [decision.now_s + ahead_s for ahead_s in AHEAD_S]
    futures = [None, *(with_arrivals_of(episode, lender, decision.now_s) for lender in lenders)]
    ways = [OWN, *(int(decision.codes[row]) for row in rows)]
    all_ways = np.array([[paired.outcomes(way, ends_s, future) for future in futures] for way in ways])
    return all_ways[1:] - all_ways[0]


def table_of(found: list[np.ndarray]) -> list[dict[str, Any]]:
    """Rows of the table: a look-ahead each, for either outcome."""
    rows = []
    for outcome in (MISSED, RESIDENCE):
        for end, ahead_s in enumerate(AHEAD_S):
            changes = np.concatenate([tried[:, :, end, outcome] for tried in found])
            futures = changes.shape[1]
            squares = float((changes**2).mean())
            products = (changes.sum(1) ** 2 - (changes**2).sum(1)) / (futures * (futures - 1))
            hindsight = [min(0.0, float(tried[:, 0, end, outcome].min())) for tried in found]
            chosen = [_best(tried[:, 1:, end, outcome].mean(1)) for tried in found]
            foresight = [_change(tried, way, end, outcome) for tried, way in zip(found, chosen, strict=True)]
            at_end = [_change(tried, way, -1, MISSED) for tried, way in zip(found, chosen, strict=True)]
            rows.append(
                {
                    "outcome": OUTCOMES[outcome],
                    "look-ahead, s": ahead_s if np.isfinite(ahead_s) else "to the end",
                    "mean": float(changes.mean()),
                    "spread": float(changes.std()),
                    "shared": f"{float(products.mean()) / squares:.0%}" if squares > 0 else "",
                    "hindsight": _interval(hindsight),
                    "foresight": _interval(foresight),
                    "foresight, missed at the end": _interval(at_end),
                }
            )
    return rows


def _best(means: np.ndarray) -> int:
    """The answer with the least mean, -1 for the policy's own."""
    best = int(means.argmin())
    return best if means[best] < 0.0 else -1


def _change(tried: np.ndarray, way: int, end: int, outcome: int) -> float:
    return float(tried[way, 0, end, outcome]) if way >= 0 else 0.0


def _interval(values: list[float], factor: float = 1.0) -> str:
    found = mean_intervals(factor * np.array(values))[0]
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def follow(asked: argparse.Namespace, scenario: Scenario, paired: PairedFutures, rows: list[dict[str, Any]]) -> None:
    """Note whole episodes in which the best answer for the true future is taken at random decisions, a row each."""
    rng = np.random.default_rng(asked.seed)
    with WorkProgress("following", "decisions", asked.episodes * asked.decisions) as progress:
        for number, seed in enumerate(range(asked.seed, asked.seed + asked.episodes)):
            episode = scenario.episode("validation", seed, 0)
            own = paired.play(episode, seed)
            changed = 0
            times_s = _times_s(asked, scenario, rng)
            for count, decision in enumerate(paired.decisions(episode, times_s, seed)):
                codes = [OWN, *(int(decision.codes[row]) for row in other_answers(decision, asked.ways, rng))]
                ends = np.array([paired.outcomes(code, [np.inf])[0] for code in codes])
                best = int((ends[:, MISSED] + RESIDENCE_TIE * ends[:, RESIDENCE]).argmin())
                if best > 0:
                    paired.answer(codes[best])
                    changed += 1
                progress.update(number * asked.decisions + count + 1)
            led = paired.finish()
            per_cent = 100.0 / len(episode.workflows)
            rows.append(
                {
                    "seed": seed,
                    "missed, %": own[MISSED] * per_cent,
                    "led, missed, %": led[MISSED] * per_cent,
                    "completion, s": own[RESIDENCE] / len(episode.workflows),
                    "led, completion, s": led[RESIDENCE] / len(episode.workflows),
                    "other answers taken": changed,
                }
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="searched", help="who decides: a name or a file")
    parser.add_argument("--tier", default="cluster", choices=AGENT_TIERS)
    parser.add_argument("--scenario", default="quick")
    parser.add_argument("--contention", default="high")
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--decisions", type=int, default=8, help="of each episode")
    parser.add_argument("--futures", type=int, default=4, help="with other arrivals")
    parser.add_argument("--ways", type=int, default=4, help="answers tried at a decision, the policy's own among them")
    parser.add_argument("--seed", type=int, default=0, help="first episode")
    parser.add_argument("--follow", action="store_true", help="take what is best in the true future")
    asked = parser.parse_args()
    about = machine()
    scenario = Scenario.load(asked.scenario, [f"contention={asked.contention}"])
    paired = PairedFutures(scenario, load_any_policy(asked.policy, scenario), asked.tier)
    rows: list[dict[str, Any]] = []
    found: list[np.ndarray] = []
    with contextlib.suppress(KeyboardInterrupt):
        follow(asked, scenario, paired, rows) if asked.follow else try_decisions(asked, scenario, paired, found)
    if not rows and not found:
        print("nothing was finished")
        return
    if asked.follow:
        gains = [row["missed, %"] - row["led, missed, %"] for row in rows]
        title = f"{asked.policy}, {asked.tier}: an oracle gains {_interval(gains)} points of SLO attainment"
    else:
        rows = table_of(found)
        answers = sum(len(tried) for tried in found)
        title = f"{asked.policy}, {asked.tier}: {answers} answers at {len(found)} decisions"
    show_table(title, rows, machine_line(about, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
