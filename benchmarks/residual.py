"""What a network on top of a policy of rules adds: learned from paired futures, judged by whole episodes.

    python benchmarks/residual.py --policy searched --tier cluster --seconds 600

1. At random decisions of training episodes the policy's own answer and a few others are played on to the end, in one
   future. What another answer saves, in missed workflows and in workflow-seconds, is its advantage.
2. A set network (the scorer of `maestro-gym train`, beside the mean of the candidates) learns the advantage of a
   candidate over the policy's own; what it says of held-out decisions is compared with what came of them.
3. The policy with the network on top runs validation episodes: the network's scores are added to a bonus for the
   policy's own choice, so that with a network of zeros, or a large bonus, it is the policy.

``--test`` adds the test episodes of the best bonus, if it beats the policy on the validation episodes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from machine import machine, machine_line
from rollouts import FIRST_S, other_answers

from maestro_gym.agents.forward import pack, score_candidates, scratch_width
from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.networks import CandidateScorer
from maestro_gym.agents.observed_rule import observer
from maestro_gym.agents.rollout.outcome import MISSED, RESIDENCE
from maestro_gym.agents.rollout.paired import WINDOW, PairedFutures
from maestro_gym.baselines.registry import with_rule
from maestro_gym.cli.console import seed_numbers, show_table
from maestro_gym.core.compile import compile_fresh
from maestro_gym.envs.observation.layout import TIER_SPECS, make_layout
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.statistics import mean_intervals, paired_differences
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import AGENT_TIERS, TIER_NAMES
from maestro_gym.sim.engine import OWN
from maestro_gym.state import Hidden, View

FIRST_SEED = 1000
"""Training seeds from here on; `rollouts.py` uses smaller ones."""

STAY_PER_MISS_S = 400.0
"""Workflow-seconds that count as one missed workflow: about what their spreads are to each other."""

HELD_OUT = 0.2
"""Share of the decisions that the network does not learn from, by which its best epoch is chosen."""

EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 60, 256, 2e-3, 1e-2
HIDDEN = (32, 32)
LARGEST = 8.0
"""Advantages beyond this many mean sizes count as this many."""


class Pairs(NamedTuple):
    """Other answers beside the policy's own, one a row.

    Attributes:
        own: float32, shape (P, F), the policy's own candidate.
        other: float32, shape (P, F).
        context: float32, shape (P, G + F): context, and the mean of the legal candidates.
        saved: float32, shape (P,): what the other answer saves, in missed workflows.
        decision: int64, shape (P,): to which decision it belongs.
    """

    own: np.ndarray
    other: np.ndarray
    context: np.ndarray
    saved: np.ndarray
    decision: np.ndarray


def collect(asked: argparse.Namespace, scenario: Scenario, policy: Policy) -> Pairs:
    """Play other answers on for a given time."""
    paired, rng = PairedFutures(scenario, policy, asked.tier), np.random.default_rng(asked.seed)
    own, other, context, saved, number = [], [], [], [], []
    begin, seed, decisions = time.monotonic(), FIRST_SEED, 0
    with WorkProgress("collecting", "s", asked.seconds) as progress:
        while (spent_s := time.monotonic() - begin) < asked.seconds:
            episode = scenario.episode("train", seed, 0)
            times_s = sorted(rng.uniform(FIRST_S, scenario.config.horizon_s, asked.decisions))
            for decision in paired.decisions(episode, times_s, seed):
                progress.update(int(min(spent_s, asked.seconds)))
                rows = other_answers(decision, asked.ways, rng)
                if decision.own < 0 or not rows:
                    continue
                end_s = [decision.now_s + asked.ahead]
                as_own = paired.outcomes(OWN, end_s)[0]
                beside = np.concatenate([decision.context, decision.candidates[decision.mask].mean(0)])
                for row in rows:
                    change = paired.outcomes(int(decision.codes[row]), end_s)[0] - as_own
                    own.append(decision.candidates[decision.own])
                    other.append(decision.candidates[row])
                    context.append(beside)
                    saved.append(-(change[MISSED] + change[RESIDENCE] / STAY_PER_MISS_S))
                    number.append(decisions)
                decisions += 1
                if (spent_s := time.monotonic() - begin) >= asked.seconds:
                    break
            seed += 1
    table = {"own": own, "other": other, "context": context, "saved": saved}
    return Pairs(**{name: np.array(part, np.float32) for name, part in table.items()}, decision=np.array(number))


def fit(pairs: Pairs, seed: int) -> tuple[CandidateScorer, dict[str, Any]]:
    """Learn the advantage of a candidate over the policy's own.

    Returns:
        The network of the epoch that is best on held-out decisions, its scores in units of the mean size of an
        advantage; what it says of those decisions, as a row of a table.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    decisions = np.random.default_rng(seed).permutation(np.unique(pairs.decision))
    held = torch.tensor(np.isin(pairs.decision, decisions[: int(HELD_OUT * len(decisions))]))
    unit = float(np.abs(pairs.saved).mean())
    target = torch.tensor(pairs.saved / unit).clamp(-LARGEST, LARGEST)
    own, other, context = (torch.tensor(part) for part in (pairs.own, pairs.other, pairs.context))
    network = CandidateScorer(own.shape[1], context.shape[1], HIDDEN)
    torch.nn.init.zeros_(network.logit.weight)
    learner = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def advantage(rows: torch.Tensor) -> torch.Tensor:
        both = torch.stack((own[rows], other[rows]), dim=1)
        logits = network.forward_actor({"candidates": both, "context": context[rows]})
        return logits[:, 1] - logits[:, 0]

    learned, kept = torch.nonzero(~held).squeeze(1), torch.nonzero(held).squeeze(1)
    # Before the first epoch it is zero everywhere: a network that learns nothing of use stays the policy.
    least, best = float((target[kept] ** 2).mean()), network.state_dict()
    best = {name: value.clone() for name, value in best.items()}
    zero = least
    for _ in range(EPOCHS):
        for rows in learned[torch.randperm(len(learned))].split(BATCH):
            loss = ((advantage(rows) - target[rows]) ** 2).mean()
            learner.zero_grad()
            loss.backward()
            learner.step()
        with torch.no_grad():
            error = float(((advantage(kept) - target[kept]) ** 2).mean())
        if error < least:
            least, best = error, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best)
    with torch.no_grad():
        said = advantage(kept).numpy()
    came = pairs.saved[held.numpy()]
    promised = mean_intervals(came[said > 0.0])[0]
    return network, {
        "decisions": len(decisions),
        "answers": len(pairs.saved),
        "mean saved, workflows": float(pairs.saved.mean()),
        "spread": float(pairs.saved.std()),
        "held-out error, share of zero's": least / zero,
        "promised better": f"{(said > 0.0).mean():.1%}",
        "saved there": f"{promised.estimate:.2f} [{promised.low:.2f}, {promised.high:.2f}]",
    }


def with_network(policy: Policy, scenario: Scenario, tier: str, network: CandidateScorer, bonus: float) -> Policy:
    """The policy with the network on top, its own choice favoured by a bonus.

    Args:
        policy: Of rules.
        scenario: What it runs on.
        tier: Whose decisions the network sees.
        network: Scores candidates.
        bonus: Added to the score of the policy's own choice.

    Returns:
        The policy; where the own choice is not among the candidates, it stands.
    """
    queue = int(scenario.world.params[0]["node_queue_limit"])
    layout = make_layout(TIER_SPECS[tier], scenario.world, queue, window=WINDOW, predictions=True, evaluation=True)
    _, weights, layers = pack(network)
    write, width, favour = observer(layout), scratch_width(layers), np.float32(bonus)
    for name in TIER_NAMES:
        if AGENT_TIERS[tier] & AGENT_TIERS[name]:
            rule = getattr(policy, f"{name}_rule")
            function = _on_top(rule.function, write, weights, layers, width, favour)
            policy = with_rule(policy, replace(rule, name="residual", function=function), "residual", "")
    return policy


def _on_top(base: Any, write: Any, weights: np.ndarray, layers: np.ndarray, width: int, favour: np.float32) -> Any:  # noqa: ANN401 - compiled functions
    def decide(view: View, oracle: Hidden, e: int) -> int:
        own = base(view, oracle, e)
        candidates, context, mask, codes = write(view, oracle, e)
        rows, columns, length = candidates.shape[0], candidates.shape[1], context.shape[0]
        beside = np.zeros(length + columns, np.float32)
        beside[:length] = context
        legal, known = 0, False
        for a in range(rows):
            if mask[a]:
                legal += 1
                known = known or codes[a] == own
                beside[length:] += candidates[a]
        if not known:
            return own
        beside[length:] /= np.float32(legal)
        logits = np.zeros(rows, np.float32)
        score_candidates(weights, layers, candidates, beside, mask, np.zeros((4, width), np.float32), logits)
        best, highest = own, np.float32(-np.inf)
        for a in range(rows):
            if mask[a]:
                logit = logits[a] + favour if codes[a] == own else logits[a]
                if logit > highest:
                    best, highest = codes[a], logit
        return best

    return compile_fresh(decide)


def measure(scenario: Scenario, policy: Policy, split: str, seeds: list[int]) -> np.ndarray:
    """SLO attainment [%] and mean completion [s] of whole episodes; float64, shape (2, seeds)."""
    rows = [result_row(run_episode(scenario, policy, split, seed, samples=0)) for seed in seeds]
    return np.array([[100.0 * float(row["slo_attainment"]), float(row["completion_mean_s"])] for row in rows]).T


def compared(name: str, found: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """A row of a table."""
    slo, completion = paired_differences(found, reference)
    return {
        "on top": name,
        "SLO, %": float(found[0].mean()),
        "to the policy, points": f"{slo.estimate:+.2f} [{slo.low:.2f}, {slo.high:.2f}]",
        "completion, s": float(found[1].mean()),
        "to the policy, s": f"{completion.estimate:+.2f} [{completion.low:.2f}, {completion.high:.2f}]",
    }


def main() -> None:
    """Collect, learn, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="searched", help="who decides: a name or a file")
    parser.add_argument("--tier", default="cluster", choices=AGENT_TIERS)
    parser.add_argument("--scenario", default="quick")
    parser.add_argument("--contention", default="high")
    parser.add_argument("--seconds", type=int, default=600, help="of real time spent on paired futures")
    parser.add_argument("--ahead", type=float, default=np.inf, help="seconds that a future is looked into")
    parser.add_argument("--decisions", type=int, default=100, help="of each episode")
    parser.add_argument("--ways", type=int, default=3, help="answers tried at a decision, the policy's own among them")
    parser.add_argument("--bonus", type=float, nargs="+", default=[0.25, 0.5, 1.0, 2.0])
    parser.add_argument("--seeds", default="0-7", help="of the validation episodes")
    parser.add_argument("--test", default="", help="seeds of test episodes, such as 100-119")
    parser.add_argument("--seed", type=int, default=0, help="of draws and network")
    parser.add_argument("--pairs", type=Path, help="keep the paired futures here, or read them if the file is there")
    asked = parser.parse_args()
    about = machine()
    scenario = Scenario.load(asked.scenario, [f"contention={asked.contention}"])
    policy = load_any_policy(asked.policy, scenario)
    if asked.pairs and asked.pairs.is_file():
        with np.load(asked.pairs) as kept:
            pairs = Pairs(**kept)
    else:
        pairs = collect(asked, scenario, policy)
        if asked.pairs:
            np.savez_compressed(asked.pairs, **pairs._asdict())
    network, said = fit(pairs, asked.seed)
    show_table(f"{asked.policy}, {asked.tier}: what the network learned", [said])
    seeds = seed_numbers(asked.seeds) or []
    reference = measure(scenario, policy, "validation", seeds)
    rows, best, most = [compared("nothing", reference, reference)], None, 0.0
    for bonus in asked.bonus:
        led = with_network(policy, scenario, asked.tier, network, bonus)
        found = measure(scenario, led, "validation", seeds)
        rows.append(compared(f"network, bonus {bonus:g}", found, reference))
        gain = float((found[0] - reference[0]).mean())
        if gain > most:
            best, most = (bonus, led), gain
    show_table(
        f"{asked.policy}, {asked.tier}: validation seeds {asked.seeds}", rows, machine_line(about, os.getloadavg()[0])
    )
    if asked.test and best is not None:
        seeds = seed_numbers(asked.test) or []
        reference = measure(scenario, policy, "test", seeds)
        row = compared(f"network, bonus {best[0]:g}", measure(scenario, best[1], "test", seeds), reference)
        show_table(f"test seeds {asked.test}", [compared("nothing", reference, reference), row])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
