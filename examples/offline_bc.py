"""Behaviour cloning: a network learns to answer as the policy of a dataset did, without an environment.

    pip install 'maestro-gym[offline]'
    maestro-gym dataset -p searched -c high --seeds 0-3 --name maestro/cluster/searched-v0
    python examples/offline_bc.py maestro/cluster/searched-v0 runs/cloned
    maestro-gym compare -c high -p runs/cloned,searched,maestro

Candidates are a set: the scorer gives each its own logit, through the same weights, so the clone runs on any fleet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import minari
import numpy as np
import torch

from maestro_gym.agents import card_of_dataset, save_policy

EPOCHS, BATCH, LEARNING_RATE = 6, 512, 1e-3


def main() -> None:
    """Learn from a dataset, and leave a folder that `compare` takes as a policy."""
    torch.set_num_threads(1)  # batches this small gain nothing by more, and lose where cores are busy
    torch.manual_seed(0)
    data = minari.load_dataset(sys.argv[1])
    episodes = list(data.iterate_episodes())
    # The last observation of an episode belongs to no decision; a decision that explored teaches nothing here.
    own = [episode.infos["of_policy"][:-1].astype(bool) for episode in episodes]

    def decisions(name: str) -> torch.Tensor:
        parts = [episode.observations[name][:-1][kept] for episode, kept in zip(episodes, own, strict=True)]
        return torch.as_tensor(np.concatenate(parts))

    seen = {name: decisions(name) for name in ("candidates", "context")}
    legal = decisions("action_mask").bool()
    actions = torch.as_tensor(np.concatenate([e.actions[kept] for e, kept in zip(episodes, own, strict=True)]))
    # Where one action is legal there is nothing to learn.
    taught = torch.nonzero(legal.sum(1) > 1).squeeze(1)
    held_out, learned = taught[: len(taught) // 10], taught[len(taught) // 10 :]
    card = card_of_dataset(data)
    network = card.build()
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)

    def logits(rows: torch.Tensor) -> torch.Tensor:
        scores = network.forward_actor({name: column[rows] for name, column in seen.items()})
        return scores.masked_fill(~legal[rows], -torch.inf)

    for epoch in range(EPOCHS):
        for rows in learned[torch.randperm(len(learned))].split(BATCH):
            loss = torch.nn.functional.cross_entropy(logits(rows), actions[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            agree = (logits(held_out).argmax(1) == actions[held_out]).float().mean()
        print(f"epoch {epoch + 1}: {agree:.1%} of {len(held_out):,} held-out decisions as the policy", flush=True)
    save_policy(Path(sys.argv[2]), card, network)


if __name__ == "__main__":
    main()
