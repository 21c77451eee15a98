"""One network for all nodes: parameter sharing with PettingZoo, by REINFORCE with a learned baseline.

    pip install 'maestro-gym[pettingzoo]'
    python examples/pettingzoo_shared_policy.py

The nodes learn which stage to admit and which model to load; fleet and clusters follow Maestro's rules. This is a
beginning to change, not a tuned learner, which `maestro-gym train` is.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from maestro_gym.envs import discount, pettingzoo

EPISODES, DISCOUNT_S, REWARD_SCALE, FLEET = 40, 10.0, 0.01, ("contention=high", "horizon_s=20")


def chances(scorer: nn.Module, candidates: Tensor, context: Tensor, mask: Tensor) -> Categorical:
    """The policy: every candidate (N, A, F) is scored by the same weights, beside the context (N, G)."""
    around = context.unsqueeze(1).expand(-1, candidates.shape[1], -1)
    return Categorical(logits=scorer(torch.cat([candidates, around], 2)).masked_fill(mask == 0, -torch.inf))


def play(env: pettingzoo.MaestroAEC, scorer: nn.Module | None, seed: int) -> tuple[list[tuple], float]:
    """One episode, under Maestro's rules without a scorer: what nodes saw, did and gained by it; the team's return."""
    env.reset(seed=seed)
    seen, total = defaultdict(list), 0.0
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, info = env.last()
        action = env.own_answer()
        if seen[agent]:  # What the team earned since the node's last decision, and how long that took.
            seen[agent][-1] += (reward * REWARD_SCALE, discount(info["dt_s"], DISCOUNT_S))
        if scorer and agent.startswith("node") and not (terminated or truncated):
            parts = (*observation["observation"].values(), observation["action_mask"])
            with torch.no_grad():
                action = int(chances(scorer, *(torch.from_numpy(part)[None] for part in parts)).sample())
            seen[agent].append((*parts, action))
        env.step(action)
        total += env.rewards.get("global", 0.0)
    decisions = []
    for steps in seen.values():
        gained = 0.0
        for *step, reward, factor in reversed(steps):
            gained = reward + factor * gained
            decisions.append((*step, np.float32(gained)))
    return decisions, total


def main() -> None:
    """Train for a short while, and say what the team earns in episodes that it has not seen."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # Threads cost more than such small networks do.
    env, unseen = (pettingzoo.MaestroAEC("nodes", overrides=FLEET, split=split) for split in ("train", "validation"))
    rows, context = (space.shape[-1] for space in env.observation_space("node_0")["observation"].values())
    sizes = (rows + context, context)
    scorer, critic = (nn.Sequential(nn.Linear(n, 64), nn.Tanh(), nn.Linear(64, 1), nn.Flatten(-2)) for n in sizes)
    optimizer = torch.optim.Adam([*scorer.parameters(), *critic.parameters()], 3e-3)
    before = [play(unseen, scorer, seed)[1] for seed in range(8)]
    for seed in range(EPISODES):
        *parts, actions, gained = map(torch.as_tensor, map(np.stack, zip(*play(env, scorer, seed)[0], strict=True)))
        error = gained - critic(parts[1])
        better = ((error - error.mean()) / error.std()).detach()
        loss = error.square().mean() - (better * chances(scorer, *parts).log_prob(actions)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after, rules = ([play(unseen, played, seed)[1] for seed in range(8)] for played in (scorer, None))
    for name, returns in (("untrained", before), ("trained", after), ("Maestro's rules", rules)):
        print(f"{name:15} mean return {np.mean(returns):8.1f}")


if __name__ == "__main__":
    main()
