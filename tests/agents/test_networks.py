from __future__ import annotations

import numpy as np
import pytest
import torch

from maestro_gym.agents.forward import best_candidate, pack, scratch_width
from maestro_gym.agents.networks import NETWORKS, CandidateScorer, build_network

Observation = dict[str, torch.Tensor]


def _observation(batch: int = 6, candidates: int = 7) -> Observation:
    draw = torch.Generator().manual_seed(0)
    table = torch.rand((batch, candidates, 5), generator=draw) * 2 - 1
    present = torch.rand((batch, candidates), generator=draw) < 0.6
    present[:, 0] = True
    table[..., 0] = 1
    return {
        "candidates": table * present.unsqueeze(-1),
        "context": torch.rand((batch, 3), generator=draw) * 2 - 1,
    }


def test_scorer_gives_each_candidate_the_same_logit_in_any_order() -> None:
    network, observation = CandidateScorer(5, 3, (16, 8)), _observation()
    order = torch.randperm(7)
    logits, values = network(observation)
    shuffled_logits, shuffled_values = network(observation | {"candidates": observation["candidates"][:, order]})
    torch.testing.assert_close(shuffled_logits, logits[:, order])
    torch.testing.assert_close(shuffled_values, values)


def test_scorer_serves_a_fleet_of_another_size_and_ignores_absent_candidates_in_the_value() -> None:
    network, observation = CandidateScorer(5, 3, (16,)), _observation()
    padded = torch.cat((observation["candidates"], torch.zeros(6, 10, 5)), dim=1)
    logits, values = network(observation)
    more_logits, more_values = network(observation | {"candidates": padded})
    torch.testing.assert_close(more_logits[:, :7], logits)
    torch.testing.assert_close(more_values, values)


@pytest.mark.parametrize("kind", NETWORKS)
def test_actor_and_critic_alone_agree_with_both_at_once(kind: str) -> None:
    network, observation = build_network(kind, 7, 5, 3, (16, 8)), _observation()
    logits, values = network(observation)
    torch.testing.assert_close(network.forward_actor(observation), logits)
    torch.testing.assert_close(network.forward_critic(observation), values)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("hidden", [(16,), (32, 16), (8, 16, 8)])
def test_compiled_actor_takes_the_action_that_torch_takes(kind: str, hidden: tuple[int, ...]) -> None:
    network, observation = build_network(kind, 7, 5, 3, hidden), _observation(batch=300)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        logits = network.forward_actor(observation)
    legal = observation["candidates"][..., 0] > 0.5
    expected = torch.where(legal, logits, -torch.inf).argmax(1).numpy()
    packed = pack(network)
    tables, contexts = observation["candidates"].numpy(), observation["context"].numpy()
    scratch = np.zeros((4, scratch_width(packed[2])), np.float32)
    rows = zip(tables, contexts, legal.numpy(), strict=True)
    values = np.empty(tables.shape[1], np.float32)
    taken = np.array([best_candidate(*packed, *row, scratch, values) for row in rows])
    assert (taken == expected).mean() > 0.999
