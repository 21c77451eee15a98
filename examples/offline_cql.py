"""Conservative Q-learning (Kumar et al. 2020) over sets of candidates, in continuous time, from a dataset alone.

    pip install 'maestro-gym[offline]'
    maestro-gym dataset -p maestro -c high --seeds 0-3 --explore 0.2 --name maestro/cluster/mixed-v0
    python examples/offline_cql.py maestro/cluster/mixed-v0 runs/conservative
    maestro-gym compare -c high -p runs/conservative,maestro

Its loss is the double Q-learning error plus ALPHA * (log sum exp Q(s, .) - Q(s, a)) over the legal actions: what the
dataset never tried is not believed to be good. The discount of a transition is exp(-dt / HORIZON_S).
"""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

import minari
import numpy as np
import torch
from torch.nn.functional import smooth_l1_loss

from maestro_gym.agents import card_of_dataset, save_policy

STEPS, BATCH, LEARNING_RATE, ALPHA, HORIZON_S, TARGET_SHARE = 2_000, 256, 5e-4, 1.0, 120.0, 0.01


def main() -> None:
    """Learn from a dataset, and leave a folder that `compare` takes as a policy."""
    torch.set_num_threads(1)  # batches this small gain nothing by more, and lose where cores are busy
    torch.manual_seed(0)
    data = minari.load_dataset(sys.argv[1])
    episodes = list(data.iterate_episodes())

    def joined(arrays: list[np.ndarray]) -> torch.Tensor:
        return torch.as_tensor(np.concatenate(arrays))

    names = ("candidates", "context")
    seen = {name: joined([e.observations[name] for e in episodes]) for name in names}
    legal = joined([e.observations["action_mask"] for e in episodes]).bool()
    last = joined([np.append(np.zeros(len(e), np.bool_), True) for e in episodes])  # its row is no decision
    actions, rewards = (joined([np.append(getattr(e, n), 0) for e in episodes]) for n in ("actions", "rewards"))
    dt_s = joined([np.append(e.infos["dt_s"][1:], 0.0) for e in episodes])
    discount = torch.exp(-dt_s / HORIZON_S).float()
    scale = HORIZON_S * (rewards.abs().sum() / dt_s.sum()).item()  # what one horizon costs
    ended = joined([np.append(e.terminations, False) for e in episodes])
    decisions = torch.nonzero(~last).squeeze(1)
    card = card_of_dataset(data)
    network, optimiser = (net := card.build()), torch.optim.Adam(net.parameters(), LEARNING_RATE)
    target = copy.deepcopy(network)

    def values(net: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """Q of every action, (B, A): the value of the set plus what a candidate adds; minus infinity if illegal."""
        scores, value = net({name: column[rows] for name, column in seen.items()})
        return (value + scores).masked_fill(~legal[rows], -torch.inf)

    for step in range(1, (int(sys.argv[3]) if len(sys.argv) > 3 else STEPS) + 1):
        rows = decisions[torch.randint(len(decisions), (BATCH,))]
        with torch.no_grad():
            best = values(network, rows + 1).argmax(1, keepdim=True)
            future = values(target, rows + 1).gather(1, best).squeeze(1) * ~ended[rows]
            wanted = (rewards[rows] / scale).float() + discount[rows] * future
        q = values(network, rows)
        done = q.gather(1, actions[rows].unsqueeze(1)).squeeze(1)
        error, caution = smooth_l1_loss(done, wanted), (q.logsumexp(1) - done).mean()
        optimiser.zero_grad()
        (error + ALPHA * caution).backward()
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(target.parameters(), network.parameters(), strict=True):
                old.lerp_(new, TARGET_SHARE)
        if step % 500 == 0:
            print(f"step {step:,}: error {error:.4f}, caution {caution:.4f}, mean Q {done.mean():.2f}", flush=True)
    save_policy(Path(sys.argv[2]), replace(card, discount_horizon_s=HORIZON_S), network)


if __name__ == "__main__":
    main()
