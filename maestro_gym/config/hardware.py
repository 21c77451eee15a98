"""Architectures, GPUs and hosts: the catalogue that deployments and fleets refer to by name."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_WAIT_S, MOST_BYTES_PER_S, MOST_GB, MOST_TOKENS, MOST_USD_PER_H
from maestro_gym.config.step_coefficients import StepCoefficients

WEIGHT_BYTES_PER_PARAMETER = 2
"""bf16."""
KV_BYTES_PER_ELEMENT = 2
"""bf16."""


class ArchitectureConfig(StrictModel):
    """A decoder-only transformer; parameter count, weight bytes and KV bytes are derived from it."""

    aliases: list[str] = Field(default_factory=list, description="other models of the same shape")
    layers: int = Field(gt=0, le=1024, description="transformer layers")
    hidden: int = Field(gt=0, le=2**17, description="width of the residual stream")
    heads: int = Field(gt=0, le=4096, description="query heads")
    kv_heads: int = Field(gt=0, le=4096, description="key and value heads")
    head_dim: int = Field(gt=0, le=4096, description="width of one head")
    ffn: int = Field(gt=0, le=2**20, description="inner width of the feed-forward block (of one expert, if MoE)")
    vocab: int = Field(gt=0, le=2**24, description="vocabulary size")
    max_model_len: int = Field(gt=0, le=MOST_TOKENS, description="longest context [tokens]")
    tied_embeddings: bool = Field(default=False, description="the output matrix is the input embedding")
    gated_ffn: bool = Field(default=True, description="three feed-forward matrices (SwiGLU) rather than two")
    attention_bias: bool = Field(default=False, description="biases on the QKV projections (Qwen2)")
    experts: int = Field(default=0, ge=0, le=4096, description="experts of each MoE layer, 0 = dense")
    experts_per_token: int = Field(default=0, ge=0, le=4096, description="experts that compute a token")

    other_parameters: int = Field(default=0, ge=0, le=10**13, description="outside the decoder: a vision tower")

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
        return self.layers * (layer + 2 * self.hidden) + embeddings + self.hidden + self.other_parameters

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in bf16, whole model."""
        return self.parameters * WEIGHT_BYTES_PER_PARAMETER

    @property
    def kv_bytes_per_token(self) -> int:
        """KV bytes of a token: kappa = 2 * layers * kv_heads * head_dim * 2 bytes, whole model."""
        return 2 * self.layers * self.kv_heads * self.head_dim * KV_BYTES_PER_ELEMENT

    def weight_bytes_per_gpu(self, tp: int) -> float:
        """Weight bytes on each GPU of a tensor-parallel group of `tp`."""
        return self.weight_bytes / tp

    def refuses_tp(self, tp: int) -> str:
        """Say why no server shards this model over `tp` GPUs; blank if one does.

        Query heads are dealt out evenly. KV heads are dealt out too, or each is copied to equally many GPUs (vLLM,
        ``ModelConfig.verify_with_parallel_config``).
        """
        if self.heads % tp:
            return f"{self.heads} attention heads cannot be divided by {tp}"
        if self.kv_heads % tp and tp % self.kv_heads:
            return f"{self.kv_heads} KV heads can be neither divided among {tp} GPUs nor copied evenly to them"
        return ""

    def kv_bytes_per_token_per_gpu(self, tp: int) -> float:
        """KV bytes a token on each GPU; heads are replicated when there are fewer of them than GPUs."""
        return self.kv_bytes_per_token * max(1.0, self.kv_heads / tp) / self.kv_heads


class ResidencyCosts(StrictModel):
    """What a promotion costs beside the transfer of its bytes; defaults measured on A100 with bf16."""

    wake_base_s: float = Field(
        default=0.2, ge=0, le=LONGEST_WAIT_S, description="SLEEPING to RUNNING, beside the transfer [s]"
    )
    sleep_base_s: float = Field(
        default=0.03, ge=0, le=LONGEST_WAIT_S, description="RUNNING to SLEEPING, beside the transfer [s]"
    )
    cpu_base_s: float = Field(default=22.3, ge=0, le=LONGEST_WAIT_S, description="engine start from the page cache [s]")
    cpu_s_per_gb: float = Field(
        default=0.70, ge=0, le=LONGEST_WAIT_S, description="per GB of weights on the GPU [s/GB]"
    )
    cpu_s_per_layer: float = Field(
        default=0.44, ge=0, le=LONGEST_WAIT_S, description="per layer: compile and graph capture [s]"
    )


BORROWED = ", measured on "
"""What follows it in the source of a fit is the GPU that was measured, where it is another one."""


class Fitted(StrictModel):
    """How well one kind of measurement was met when the coefficients were fitted."""

    source: str = Field(description="profile")
    points: int = Field(gt=0, le=10**9, description="measurements")
    median_error: float = Field(ge=0, le=1e6, description="median absolute relative error")
    p90_error: float = Field(ge=0, le=1e6, description="90th percentile of the absolute relative error")
    signed_error: float = Field(ge=-1, le=1e6, description="median relative error, positive where the model is slower")
    free: list[str] = Field(default_factory=list, description="coefficients fitted to this source, dotted")


class Validity(StrictModel):
    """The largest steps and contexts among the kernels that the coefficients were fitted to."""

    step_tokens: int = Field(gt=0, le=MOST_TOKENS, description="tokens of a step")
    sequences: int = Field(gt=0, le=MOST_TOKENS, description="sequences that decode at once")
    context_tokens: int = Field(gt=0, le=MOST_TOKENS, description="tokens of a sequence")


class Calibration(StrictModel):
    """Where the coefficients of a GPU come from."""

    date: str = Field(description="day of the fit")
    version: str = Field(description="version of maestro-gym that fitted")
    validity: Validity | None = Field(
        default=None, description="step_tokens, sequences and context_tokens that were measured; beyond is a guess"
    )
    fits: list[Fitted] = Field(default_factory=list, description="errors by source")


class GpuPower(StrictModel):
    """What a GPU draws at most."""

    max_w: float = Field(gt=0, le=1e5, description="power limit of the board [W]")
    source: str = Field(description="data sheet or reading")


class GpuPrice(StrictModel):
    """What a GPU costs by the hour, busy or idle."""

    usd_per_h: float = Field(ge=0, le=MOST_USD_PER_H, description="of one GPU with its share of the machine [USD/h]")
    source: str = Field(description="whose list it is, and for which machine")
    date: str = Field(description="day on which the list was read")


class GpuConfig(StrictModel):
    """One kind of GPU."""

    aliases: list[str] = Field(default_factory=list, description="what measurements call it")
    supersedes: str | None = Field(
        default=None,
        description="an older fit of the same board, whose aliases mean this one, and which scenarios keep",
    )
    source: str = Field(default="", description="where peak, bandwidths and memory come from")
    usable_hbm_gib: float = Field(gt=0, le=MOST_GB, description="HBM as the serving engine sees it [GiB]")
    peak_flops_per_s: float = Field(ge=1e6, le=1e20, description="dense bf16 peak [FLOP/s]")
    hbm_bytes_per_s: float = Field(ge=1e6, le=MOST_BYTES_PER_S, description="HBM bandwidth [bytes/s]")
    multiprocessors: int = Field(
        gt=0, le=2**16, description="streaming multiprocessors: tiles of a matrix product at once"
    )
    pcie_bytes_per_s: float = Field(
        ge=1e3, le=MOST_BYTES_PER_S, description="host to GPU, one GPU alone, pinned memory [bytes/s]"
    )
    step: StepCoefficients = Field(default_factory=StepCoefficients, description="coefficients of the step model")
    residency: ResidencyCosts = Field(default_factory=ResidencyCosts, description="costs of promotions")
    power: GpuPower | None = Field(
        default=None, description="max_w and source of the board; left out: what runs on it has no energy"
    )
    price: GpuPrice | None = Field(
        default=None, description="usd_per_h, source and date of a public list; left out: what runs on it has no cost"
    )
    calibration: Calibration | None = Field(default=None, description="the fit that wrote `step` and `residency`")

    @property
    def usable_hbm_bytes(self) -> float:
        """HBM as the engine sees it, in bytes."""
        return self.usable_hbm_gib * 2**30


class HostConfig(StrictModel):
    """One kind of machine, whose DRAM, NVMe, PCIe and NIC its nodes share."""

    gpus: int | None = Field(
        default=None, gt=0, le=64, description="GPUs in the machine; left out: as many as its nodes ask for"
    )
    dram_gb: float = Field(
        gt=0, le=MOST_GB, description="DRAM for weights: page cache and copies of sleepers [GB, 1e9 bytes]"
    )
    nvme_gb: float = Field(gt=0, le=MOST_GB, description="local disk for weights [GB]")
    pcie_bytes_per_s: float = Field(
        ge=1e3, le=MOST_BYTES_PER_S, description="host to GPU, all GPUs of the host together [bytes/s]"
    )
    nvme_bytes_per_s: float = Field(
        default=3.5e9, ge=1e3, le=MOST_BYTES_PER_S, description="read bandwidth of the local disk [bytes/s]"
    )
    nic_bytes_per_s: float = Field(
        default=1.25e9, ge=1e3, le=MOST_BYTES_PER_S, description="bandwidth to the remote store [bytes/s]"
    )
