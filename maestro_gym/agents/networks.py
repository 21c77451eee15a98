"""Networks over the observation of every tier: a table of candidates and a context vector.

Both networks map ``candidates`` (float32, shape (B, A, F)) and ``context`` (float32, shape (B, G))
to one logit a candidate and one value an observation. Column 0 of a candidate says whether it is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

NETWORKS = ("scorer", "mlp")

_LOGIT_GAIN = 0.01  # near-uniform choices at the start, as in Stable-Baselines3


def _layer(inputs: int, outputs: int, gain: float = math.sqrt(2.0), *, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.orthogonal_(linear.weight, gain)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def _stack(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers between the sizes, ReLU after each."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [_layer(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class CandidateEmbedding(nn.Module):
    """Embeds every candidate, with the context, through the same weights."""

    def __init__(self, num_features: int, num_context: int, hidden_sizes: Sequence[int]) -> None:
        """Build the layers.

        Args:
            num_features: F, columns of a candidate.
            num_context: G, length of the context.
            hidden_sizes: Widths of the layers; the first is the context's too.
        """
        super().__init__()
        first = hidden_sizes[0]
        self.context = _stack((num_context, first))
        # Linear over [candidate, context] split in two, so that the context is multiplied once, not A times.
        self.candidate_in = _layer(num_features, first)
        self.context_in = _layer(first, first, bias=False)
        self.hidden = _stack(hidden_sizes)

    def forward(self, observation: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings of the candidates, (B, A, H), and of the context, (B, first width); none is negative."""
        context = self.context(observation["context"])
        first = torch.relu(self.candidate_in(observation["candidates"]) + self.context_in(context).unsqueeze(1))
        return self.hidden(first), context


class CandidateScorer(nn.Module):
    """One shared network for every candidate, and a value of the set (deep sets).

    A candidate's logit depends on its own features and on the context, never on its place in the table,
    so that the same weights serve any number of candidates in any order. The value reads the mean and
    the maximum of the embeddings of the candidates that are there, and the context. Actor and critic embed
    apart: the value of an overloaded fleet is learned from large errors, which drown the small
    differences between candidates in shared layers.
    """

    def __init__(self, num_features: int, num_context: int, hidden_sizes: Sequence[int]) -> None:
        """Build the network.

        Args:
            num_features: F, columns of a candidate.
            num_context: G, length of the context.
            hidden_sizes: Widths of the layers of a candidate's embedding; the first is the context's too.
        """
        super().__init__()
        first, last = hidden_sizes[0], hidden_sizes[-1]
        self.actor = CandidateEmbedding(num_features, num_context, hidden_sizes)
        self.logit = _layer(last, 1, _LOGIT_GAIN)
        self.critic = CandidateEmbedding(num_features, num_context, hidden_sizes)
        self.value_hidden = _stack((2 * last + first, last))
        self.value = _layer(last, 1, 1.0)

    def forward(self, observation: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Score candidates and value the observation.

        Args:
            observation: ``candidates`` (B, A, F) and ``context`` (B, G).

        Returns:
            Logits, shape (B, A), and values, shape (B, 1).
        """
        return self.forward_actor(observation), self.forward_critic(observation)

    def forward_actor(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits alone, shape (B, A)."""
        return self.logit(self.actor(observation)[0]).squeeze(-1)

    def forward_critic(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        """Values alone, shape (B, 1)."""
        embedding, context = self.critic(observation)
        there = (observation["candidates"][..., 0] > 0.5).unsqueeze(-1)
        kept = embedding * there
        mean = kept.sum(1) / there.sum(1).clamp(min=1)
        # Embeddings are not negative, so that zeros of absent candidates never win.
        return self.value(self.value_hidden(torch.cat((mean, kept.amax(1), context), dim=1)))


class SlotMlp(nn.Module):
    """A plain network over the flattened table, for comparison: weights belong to slots, A is fixed."""

    def __init__(self, num_candidates: int, num_features: int, num_context: int, hidden_sizes: Sequence[int]) -> None:
        """Build the network.

        Args:
            num_candidates: A, rows of the table.
            num_features: F, columns of a candidate.
            num_context: G, length of the context.
            hidden_sizes: Widths of the layers of actor and critic, which share none.
        """
        super().__init__()
        sizes = (num_candidates * num_features + num_context, *hidden_sizes)
        self.hidden = _stack(sizes)
        self.logit = _layer(sizes[-1], num_candidates, _LOGIT_GAIN)
        self.value_hidden = _stack(sizes)
        self.value = _layer(sizes[-1], 1, 1.0)

    @staticmethod
    def _flat(observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat((observation["candidates"].flatten(1), observation["context"]), dim=1)

    def forward(self, observation: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, shape (B, A), and values, shape (B, 1)."""
        return self.forward_actor(observation), self.forward_critic(observation)

    def forward_actor(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits alone, shape (B, A)."""
        return self.logit(self.hidden(self._flat(observation)))

    def forward_critic(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        """Values alone, shape (B, 1)."""
        return self.value(self.value_hidden(self._flat(observation)))


def build_network(
    kind: str, num_candidates: int, num_features: int, num_context: int, hidden_sizes: Sequence[int]
) -> CandidateScorer | SlotMlp:
    """Make the network that a configuration names.

    Args:
        kind: One of ``NETWORKS``.
        num_candidates: A; the scorer works with any.
        num_features: F.
        num_context: G.
        hidden_sizes: Widths of the hidden layers.
    """
    if kind == "scorer":
        return CandidateScorer(num_features, num_context, hidden_sizes)
    return SlotMlp(num_candidates, num_features, num_context, hidden_sizes)
