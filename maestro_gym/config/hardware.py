"""Architectures, GPUs and hosts: the catalogue that deployments and fleets refer to by name."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel

WEIGHT_BYTES_PER_PARAMETER = 2
"""bf16."""
KV_BYTES_PER_ELEMENT = 2
"""bf16."""


class ArchitectureConfig(StrictModel):
    """A decoder-only transformer; parameter count, weight bytes and KV bytes are derived from it."""

    layers: int = Field(gt=0, description="transformer layers")
    hidden: int = Field(gt=0, description="width of the residual stream")
    heads: int = Field(gt=0, description="query heads")
    kv_heads: int = Field(gt=0, description="key and value heads")
    head_dim: int = Field(gt=0, description="width of one head")
    ffn: int = Field(gt=0, description="inner width of the feed-forward block (of one expert, if MoE)")
    vocab: int = Field(gt=0, description="vocabulary size")
    max_model_len: int = Field(gt=0, description="longest context [tokens]")
    tied_embeddings: bool = Field(default=False, description="the output matrix is the input embedding")
    gated_ffn: bool = Field(default=True, description="three feed-forward matrices (SwiGLU) rather than two")
    attention_bias: bool = Field(default=False, description="biases on the QKV projections (Qwen2)")
    experts: int = Field(default=0, ge=0, description="experts of each MoE layer, 0 = dense")
    experts_per_token: int = Field(default=0, ge=0, description="experts that compute a token")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if not 0 <= self.experts_per_token <= self.experts or (self.experts > 0) != (self.experts_per_token > 0):
            raise ValueError("experts_per_token must lie between 1 and experts, both 0 for a dense model")
        return self

    @property
    def attention_parameters(self) -> int:
        """Parameters of one layer's QKV and output projections."""
        q_width, kv_width = self.heads * self.head_dim, self.kv_heads * self.head_dim
        bias = (q_width + 2 * kv_width) if self.attention_bias else 0
        return self.hidden * (2 * q_width + 2 * kv_width) + bias

    @property
    def ffn_parameters(self) -> int:
        """Parameters of one feed-forward block, one expert's if MoE."""
        return (3 if self.gated_ffn else 2) * self.hidden * self.ffn

    @property
    def router_parameters(self) -> int:
        """Parameters of one layer's expert router."""
        return self.hidden * self.experts

    @property
    def parameters(self) -> int:
        """All parameters; norms count two vectors a layer and a last one."""
        layer = self.attention_parameters + self.router_parameters + max(1, self.experts) * self.ffn_parameters
        embeddings = self.vocab * self.hidden * (1 if self.tied_embeddings else 2)
        return self.layers * (layer + 2 * self.hidden) + embeddings + self.hidden

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in bf16, whole model."""
        return self.parameters * WEIGHT_BYTES_PER_PARAMETER

    @property
    def kv_bytes_per_token(self) -> int:
        """KV bytes of a token: kappa = 2 * layers * kv_heads * head_dim * 2 bytes (design: KV memory), whole model."""
        return 2 * self.layers * self.kv_heads * self.head_dim * KV_BYTES_PER_ELEMENT

    def weight_bytes_per_gpu(self, tp: int) -> float:
        """Weight bytes on each GPU of a tensor-parallel group of `tp`."""
        return self.weight_bytes / tp

    def kv_bytes_per_token_per_gpu(self, tp: int) -> float:
        """KV bytes a token on each GPU; heads are replicated when there are fewer of them than GPUs."""
        return self.kv_bytes_per_token * max(1.0, self.kv_heads / tp) / self.kv_heads


class StepCoefficients(StrictModel):
    """Coefficients of the operator-sum step model; defaults fitted to A100-80GB SXM layer timings."""

    step_const_s: float = Field(default=1e-3, ge=0, description="c_step: scheduling and launch of a step [s]")
    sequence_s: float = Field(default=10e-6, ge=0, description="c_seq: per sequence that samples [s]")
    linear_const_s: float = Field(default=10.4e-6, ge=0, description="g0: per layer [s]")
    linear_bandwidth_efficiency: float = Field(default=0.785, gt=0, le=1, description="of HBM bandwidth, linear layers")
    linear_flops_efficiency: float = Field(default=0.739, gt=0, le=1, description="of peak FLOP/s, linear layers")
    roofline_exponent: float = Field(default=1.66, ge=1, description="k of the smooth roofline")
    elementwise_const_s: float = Field(default=26.9e-6, ge=0, description="norms, rotary, activation: per layer [s]")
    elementwise_s_per_token: float = Field(default=0.23e-6, ge=0, description="per token at hidden 4096, tp 1 [s]")
    elementwise_replicated_share: float = Field(default=0.28, ge=0, le=1, description="part that tp does not divide")
    attention_prefill_const_s: float = Field(default=12e-6, ge=0, description="per layer, with any prefill [s]")
    attention_prefill_flops_efficiency: float = Field(default=0.52, gt=0, le=1, description="of peak FLOP/s")
    attention_decode_const_s: float = Field(default=17e-6, ge=0, description="per layer, with any decode [s]")
    attention_decode_s_per_sequence: float = Field(default=0.2e-6, ge=0, description="per layer and sequence [s]")
    attention_decode_bandwidth_efficiency: float = Field(default=0.78, gt=0, le=1, description="of HBM bandwidth")
    allreduce_const_s: float = Field(default=6e-6, ge=0, description="latency of one all-reduce [s]")
    allreduce_bytes_per_s: dict[int, float] = Field(
        default={2: 178e9, 4: 122e9, 8: 107e9}, description="bandwidth of an all-reduce by tp [bytes/s]"
    )


class ResidencyCosts(StrictModel):
    """What a promotion costs beside the transfer of its bytes; defaults measured on A100 with bf16."""

    wake_base_s: float = Field(default=0.2, ge=0, description="SLEEPING to RUNNING, beside the transfer [s]")
    cpu_base_s: float = Field(default=22.3, ge=0, description="engine start from the page cache [s]")
    cpu_s_per_gb: float = Field(default=0.70, ge=0, description="per GB of weights on the GPU [s/GB]")
    cpu_s_per_layer: float = Field(default=0.44, ge=0, description="per layer: compile and graph capture [s]")


class GpuConfig(StrictModel):
    """One kind of GPU."""

    usable_hbm_gib: float = Field(gt=0, description="HBM as the serving engine sees it [GiB]")
    peak_flops_per_s: float = Field(gt=0, description="dense bf16 peak [FLOP/s]")
    hbm_bytes_per_s: float = Field(gt=0, description="HBM bandwidth [bytes/s]")
    pcie_bytes_per_s: float = Field(gt=0, description="host to GPU, one GPU alone, pinned memory [bytes/s]")
    step: StepCoefficients = Field(default_factory=StepCoefficients, description="coefficients of the step model")
    residency: ResidencyCosts = Field(default_factory=ResidencyCosts, description="costs of promotions")

    @property
    def usable_hbm_bytes(self) -> float:
        """HBM as the engine sees it, in bytes."""
        return self.usable_hbm_gib * 2**30


class HostConfig(StrictModel):
    """One kind of machine, whose DRAM, NVMe, PCIe and NIC its nodes share."""

    dram_gb: float = Field(gt=0, description="DRAM for weights: page cache and copies of sleepers [GB, 1e9 bytes]")
    nvme_gb: float = Field(gt=0, description="local disk for weights [GB]")
    pcie_bytes_per_s: float = Field(gt=0, description="host to GPU, all GPUs of the host together [bytes/s]")
    nvme_bytes_per_s: float = Field(default=3.5e9, gt=0, description="read bandwidth of the local disk [bytes/s]")
    nic_bytes_per_s: float = Field(default=1.25e9, gt=0, description="bandwidth to the remote store [bytes/s]")
