"""Which nodes of a fleet only prefill, and which only decode (docs/disaggregation.md)."""

from __future__ import annotations

from pydantic import Field

from maestro_gym.config.base import StrictModel

MOST_OF_A_CLUSTER = 16_384
"""Most nodes of a pool, as many as a fleet may have."""


class DisaggregationConfig(StrictModel):
    """The pools of every cluster: its first nodes prefill, its last ones decode, those between do both."""

    prefill_nodes: int = Field(
        gt=0, le=MOST_OF_A_CLUSTER, description="nodes of each cluster, from its first on, that only prefill"
    )
    decode_nodes: int | None = Field(
        default=None,
        ge=0,
        le=MOST_OF_A_CLUSTER,
        description="nodes of each cluster, from its last back, that only decode; None: all others",
    )
