"""The networks as a policy that MaskablePPO takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from maestro_gym.agents.networks import build_network


class _Untouched(BaseFeaturesExtractor):
    """Hands the observation on: the networks read its parts themselves."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=1)

    def forward(self, observations: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return observations


class CandidatePolicy(MaskableActorCriticPolicy):
    """Actor and critic over candidates and context, for an unmodified ``MaskablePPO``.

    The network stands where Stable-Baselines3 keeps its shared layers (``mlp_extractor``); it gives logits
    and values at once, so that the heads after it pass them on.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        network: str = "scorer",
        hidden_sizes: Sequence[int] = (64, 64),
        **kwargs: Any,  # noqa: ANN401 - Stable-Baselines3's
    ) -> None:
        """Build policy and optimiser.

        Args:
            observation_space: ``candidates`` (A, F) and ``context`` (G,).
            action_space: Discrete(A).
            lr_schedule: From the remaining share of the training to the learning rate.
            network: One of ``networks.NETWORKS``.
            hidden_sizes: Widths of the hidden layers.
            **kwargs: Passed on to Stable-Baselines3.
        """
        self.network = network
        self.hidden_sizes = tuple(hidden_sizes)
        for replaced in ("features_extractor_class", "net_arch", "ortho_init"):
            kwargs.pop(replaced, None)
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            ortho_init=False,
            features_extractor_class=_Untouched,
            **kwargs,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        space: Any = self.observation_space
        num_candidates, num_features = space["candidates"].shape
        (num_context,) = space["context"].shape
        self.mlp_extractor = build_network(self.network, num_candidates, num_features, num_context, self.hidden_sizes)
        self.action_net = nn.Identity()
        self.value_net = nn.Identity()
        make_optimizer: Any = self.optimizer_class
        self.optimizer = make_optimizer(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {"network": self.network, "hidden_sizes": self.hidden_sizes}
