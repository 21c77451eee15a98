"""Limits of engines and nodes, and the constants of the physics that a scenario may change."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, LONGEST_WAIT_S, MOST_GB
from maestro_gym.config.step_coefficients import MoeKernel

MAX_QUEUE = 4096
"""Most places of a node's queue; also what ``inf`` stands for."""


STOCK_ENGINE: Mapping[str, Any] = {
    "memory_mode": "partitioned",
    "growth_s": 0.0,
    "growth_bytes": 1.0,
    "kv_virtual_cap": 1e6,
    "schedule_ahead": True,
    "api_s": 0.001,
}
"""Limits of a node that serves as stock vLLM does, from 0.14 on.

Its pool of KV blocks is there from the start, and a sequence takes one block at a time; a step is scheduled while the
one before it runs. What is then left of the constant of a call is -2 to 2 ms in the unqueued requests of
`llmservingsim`, whose times are the engine's own, without an API server (docs/fidelity.md).
"""

SHORTEST_PERIOD_S = 1e-3
"""Shortest period of the time series [s]: of an engine's step."""


class SignalConfig(StrictModel):
    """How old a router's knowledge of one kind of signals is."""

    period_s: float = Field(
        default=0.0, ge=0, le=LONGEST_WAIT_S, description="between two scrapes [s]; 0: always fresh"
    )
    delay_s: float = Field(
        default=0.0,
        ge=0,
        le=LONGEST_WAIT_S,
        description="from a scrape to where routers know it, at most the period [s]",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 0.0 < self.period_s < SHORTEST_PERIOD_S:
            raise ValueError(f"period_s ({self.period_s}) is 0 or at least {SHORTEST_PERIOD_S:g} s")
        if self.delay_s > self.period_s:
            raise ValueError(
                f"delay_s ({self.delay_s}) must not exceed period_s ({self.period_s}): a scrape is known before the "
                "next is taken, as Prometheus asks of its timeout and its interval"
            )
        return self


class SignalsConfig(StrictModel):
    """Kinds of signals by which routers know the nodes, each with a period and a delay of its own."""

    queues: SignalConfig = Field(
        default=SignalConfig(), description="period_s and delay_s of queue lengths, stages on the way, work that waits"
    )
    running: SignalConfig = Field(
        default=SignalConfig(), description="period_s and delay_s of admitted stages, their work and KV in use"
    )
    residency: SignalConfig = Field(
        default=SignalConfig(), description="period_s and delay_s of which models are RUNNING, loading or SLEEPING"
    )
    routers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="routers that share the workflows, each with scrapes of its own: router r of R (from 0) scrapes "
        "(r + 1)/R of a period after the beginning, then once a period",
    )
    own_sends: bool = Field(
        default=False,
        description="a router adds to the queues that it knows what it has sent itself since they were scraped",
    )


class AutoscalingConfig(StrictModel):
    """When nodes may be started and stopped, and what a start takes (docs/autoscaling.md)."""

    period_s: float = Field(
        default=30.0, ge=1.0, le=LONGEST_WAIT_S, description="between two decisions on the number of nodes [s]"
    )
    start_s: float = Field(
        default=120.0,
        ge=0,
        le=LONGEST_WAIT_S,
        description="machine, container and process of a node, before it can load models [s]; a modelling choice",
    )
    min_nodes: int = Field(default=1, ge=1, le=2**14, description="nodes that stay on")
    max_nodes: int | None = Field(default=None, ge=1, le=2**14, description="nodes that may be on; None: all")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_nodes is not None and self.min_nodes > self.max_nodes:
            raise ValueError(f"min_nodes ({self.min_nodes}) must not exceed max_nodes ({self.max_nodes})")
        return self


class ParallelismConfig(StrictModel):
    """Tensor-parallel degrees among which the GPUs of a host are regrouped, and what that takes (docs/elastic.md)."""

    degrees: list[Annotated[int, Field(ge=1, le=64)]] = Field(
        min_length=2,
        max_length=7,
        description="GPUs of a node, ascending, each a divisor of the next; the last is how many make up a board",
    )
    period_s: float = Field(
        default=30.0, ge=1.0, le=LONGEST_WAIT_S, description="between two decisions on the degree of a board [s]"
    )
    switch_s: float = Field(
        default=45.0,
        ge=0,
        le=LONGEST_WAIT_S,
        description="from the last stage of the old groups until the new ones serve, weights resharded [s]; vLLM's "
        "elastic resize takes 40 to 55",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for small, large in pairwise(self.degrees):
            if large <= small or large % small != 0:
                raise ValueError(
                    f"degrees ({self.degrees}) ascend, and each divides the next: of {small} GPUs none, or not a whole "
                    f"number, make {large}; write [1, 2, 4], for one"
                )
        return self


class LimitsConfig(StrictModel):
    """How nodes serve. Each default names its source; None is taken from the fleet's GPU."""

    max_num_seqs: int = Field(default=128, gt=0, le=4096, description="sequences of one engine's batch; vLLM's flag")
    max_num_batched_tokens: int = Field(
        default=2048, gt=0, le=2**17, description="tokens of one step [tokens]; vLLM's online default"
    )
    node_queue_limit: Annotated[int, Field(ge=1, le=MAX_QUEUE)] | Literal["inf"] = Field(
        default=8, description="stages that may wait at a node; inf for schedulers that bind early"
    )
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0, le=1, description="part of usable HBM in use; vLLM's default"
    )
    gpu_sharing: Literal["timeslice", "mps"] = Field(
        default="timeslice", description="how busy engines of a node share its GPU; timeslice is what stock vLLM does"
    )
    memory_mode: Literal["elastic", "partitioned"] = Field(
        default="elastic", description="elastic: one KV pool a node (Maestro); partitioned: one an engine (stock vLLM)"
    )
    partitions: int = Field(
        default=1, gt=0, le=64, description="equal parts of a node, if partitioned; an engine takes as many as it needs"
    )
    moe_kernel: MoeKernel = Field(
        default="fused",
        description="kernels that compute the experts of MoE models; fused is vLLM's, grouped unfused matrix products",
    )
    prefix_caching: bool = Field(default=True, description="reuse cached prefixes; vLLM's default")
    kv_virtual_cap: float = Field(
        default=3.05,
        gt=0,
        le=1e6,
        description="address space granted at most, times usable HBM; Maestro: 122 GB on 40 GB",
    )
    margin_gb: float = Field(
        default=1.3,
        ge=0,
        le=MOST_GB,
        description="HBM of a RUNNING engine beside weights and KV [GB]; from block counts that vLLM logs",
    )
    sleep_gb: float = Field(default=0.5, ge=0, le=MOST_GB, description="HBM a SLEEPING engine keeps [GB]; vLLM 0.11")
    growth_bytes: float = Field(
        default=2**27,
        ge=1,
        le=2**40,
        description="one growth of a reservation, at least a block [bytes]; Maestro: 128 MiB",
    )
    growth_s: float = Field(default=2e-3, ge=0, le=LONGEST_WAIT_S, description="its cost [s]; CUDA VMM map of 128 MiB")
    rho_min: float = Field(default=0.1, ge=0, le=100, description="least margin of an adaptive reservation; Maestro")
    rho_max: float = Field(default=0.3, ge=0, le=100, description="largest margin of an adaptive reservation; Maestro")
    rho_step: float = Field(
        default=0.05, gt=0, le=1, description="weight of the newest under-estimation; a modelling choice"
    )
    share_decode: float = Field(
        default=0.9, ge=0.01, le=1, description="busy share of a decoding engine, timeslice; 0.85 to 0.96"
    )
    share_prefill: float = Field(
        default=0.96, ge=0.01, le=1, description="busy share of an engine with prefill, timeslice"
    )
    mps_share_decode: float = Field(default=0.6, ge=0.01, le=1, description="HBM bandwidth share of a decoder, MPS")
    mps_prefill_exponent: float = Field(
        default=0.64, ge=0, le=10, description="prefill slows by SM share to minus this, MPS"
    )
    wake_base_s: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="SLEEPING to RUNNING beside the transfer [s]"
    )
    sleep_base_s: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="RUNNING to SLEEPING beside the transfer [s]"
    )
    cpu_base_s: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="engine start from the page cache [s]"
    )
    cpu_s_per_gb: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="per GB of weights on a GPU [s/GB]"
    )
    cpu_s_per_layer: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="engine start, per layer [s]"
    )
    warmup_s: float = Field(
        default=2.5, ge=0, le=LONGEST_WAIT_S, description="first request after a cold start [s]; vLLM 0.11: 2.4 to 6"
    )
    first_sleep_factor: float = Field(
        default=2.0,
        ge=1,
        le=1000,
        description="the first demotion to SLEEPING takes this times a wake (pinning); a modelling choice",
    )
    api_s: float = Field(
        default=0.03, ge=0, le=LONGEST_WAIT_S, description="constant of a call [s]; vLLM 0.15: 25 to 40 ms"
    )
    schedule_ahead: bool = Field(
        default=False,
        description="an engine schedules a step while the one before runs, as vLLM does from 0.14 on: what is admitted "
        "meanwhile waits for both",
    )
    dispatch_s: float = Field(
        default=0.0,
        ge=0,
        le=LONGEST_WAIT_S,
        description="an admitted stage's way to its engine, its place of the batch taken [s]; 0: none",
    )
    wait_max_s: float = Field(
        default=5.0, ge=1e-3, le=LONGEST_WAIT_S, description="a place that waits is asked again after this [s]"
    )
    admission: bool = Field(
        default=False, description="the global tier may reject a workflow before it has sent a stage of it"
    )
    autoscaling: AutoscalingConfig | None = Field(
        default=None, description="the global tier may start and stop nodes; None: all are on"
    )
    context_hold_max_s: float = Field(
        default=0.0,
        ge=0,
        le=LONGEST_WAIT_S,
        description="longest time that a node rule may hold the KV of a context while its tool runs, on the GPU or in "
        "the host's memory [s]; 0: contexts are cached like any prefix",
    )
    parallelism: ParallelismConfig | None = Field(
        default=None, description="the node tier may regroup the GPUs of a host; None: nodes stay as the fleet has them"
    )
    metrics_delay_s: float = Field(default=0.0, ge=0, le=LONGEST_WAIT_S, description="age of scraped view fields [s]")
    signals: SignalsConfig | None = Field(
        default=None, description="queues, running and residency as routers know them; None: always fresh"
    )
    sample_period_s: float = Field(
        default=1.0, ge=0, le=LONGEST_S, description="period of the time series [s], 0 = none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 0.0 < self.sample_period_s < SHORTEST_PERIOD_S:
            raise ValueError(f"sample_period_s ({self.sample_period_s}) is 0 or at least {SHORTEST_PERIOD_S:g} s")
        if self.metrics_delay_s > 0.0 and self.signals is not None and self.signals.running.period_s > 0.0:
            raise ValueError(
                f"metrics_delay_s ({self.metrics_delay_s}) and signals.running both say how old the KV in use is; "
                "leave one out"
            )
        if self.parallelism is not None and self.autoscaling is not None:
            raise ValueError("parallelism and autoscaling both say which nodes are on; leave one out")
        if self.parallelism is not None and self.context_hold_max_s > 0.0:
            raise ValueError("parallelism: contexts are not held on boards whose GPUs are regrouped; leave one out")
        if self.rho_min > self.rho_max:
            raise ValueError(f"rho_min ({self.rho_min}) must not exceed rho_max ({self.rho_max})")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError("max_num_batched_tokens must be at least max_num_seqs, or full batches could not decode")
        return self
