"""What is known of a trained policy besides its weights, each field with its bounds."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from maestro_gym.agents.networks import CandidateScorer, SlotMlp, build_network

FORMAT = 1

_MOST_WEIGHTS = 2**28
"""Most numbers of one layer: 1 GiB."""

_Size = Annotated[int, Field(gt=0, le=2**16)]
_Count = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class PolicyCard:
    """What is known of a trained policy besides its weights.

    Attributes:
        tier: Tier that it drives: global, cluster, node or joint.
        network: One of ``networks.NETWORKS``.
        num_features: F, columns of a candidate.
        num_context: G, length of the context.
        num_candidates: A in training; only an ``mlp`` is bound to it.
        hidden_sizes: Widths of the hidden layers.
        encoder: Fingerprint of the observation that it learned to read.
        predictions: Whether that observation holds predictions (information class P, otherwise N).
        window: Stages that an agent of the global tier is shown.
        companions: Policy of the other tiers in training.
        scenario: Name of the scenario it was trained on.
        contention: Its contention.
        seed: Training seed.
        steps: Decisions it learned from.
        reward_divisor: What rewards were divided by at the end.
        discount_horizon_s: 1 / beta, in seconds.
        validation: Means of the validation episodes, by metric.
        versions: Of the project and of what it ran on.
        sha256: Of the files of the policy as they were written, by name; of the card itself, all but its own checksum.
        format: Version of this file's layout.
    """

    tier: Literal["global", "cluster", "node", "joint"]
    network: Literal["scorer", "mlp"]
    num_features: _Size
    num_context: _Size
    num_candidates: _Size
    hidden_sizes: Annotated[tuple[_Size, ...], Field(strict=False, min_length=1, max_length=16)]
    encoder: str = ""
    predictions: bool = True
    window: Annotated[int, Field(gt=0, le=2**16)] = 32
    companions: str = "maestro"
    scenario: str = ""
    contention: str = ""
    seed: _Count = 0
    steps: _Count = 0
    reward_divisor: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] = 1.0
    discount_horizon_s: Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)] = 0.0
    validation: dict[str, float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    sha256: dict[str, str] = Field(default_factory=dict)
    format: Literal[1] = FORMAT

    @model_validator(mode="after")
    def _buildable(self) -> PolicyCard:
        first = self.num_features if self.network == "scorer" else self.num_candidates * self.num_features
        widths = (first + self.num_context, *self.hidden_sizes)
        if any(inputs * outputs > _MOST_WEIGHTS for inputs, outputs in pairwise(widths)):
            raise ValueError(f"a layer of the network would hold more than {_MOST_WEIGHTS:,} numbers")
        return self

    def build(self) -> CandidateScorer | SlotMlp:
        """A network of this shape with fresh weights."""
        return build_network(self.network, self.num_candidates, self.num_features, self.num_context, self.hidden_sizes)
