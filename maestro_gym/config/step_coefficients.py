"""Coefficients of the operators of a step, as the file of a GPU holds them (docs/physics.md, "A step of an engine")."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_WAIT_S, MOST_BYTES_PER_S, MOST_TOKENS

MoeKernel = Literal["fused", "grouped"]
"""How an engine computes the experts of a MoE layer: in one kernel over tokens sorted by expert, as vLLM's Triton
``fused_moe`` does, or as grouped matrix products around which other kernels move the tokens."""


class ExpertShape(StrictModel):
    """The experts of a layer as one GPU holds them."""

    experts: int = Field(gt=0, le=4096, description="experts of the layer")
    ffn: int = Field(gt=0, le=2**20, description="inner width of one on this GPU")


class ExpertCoefficients(StrictModel):
    """Coefficients of one kind of expert kernels."""

    const_s: float = Field(
        ge=0, le=1, description="launches of one MoE layer, and what they do beside the products [s]"
    )
    bandwidth_efficiency: float = Field(ge=1e-4, le=1, description="of HBM bandwidth")
    flops_efficiency: float = Field(ge=1e-4, le=1, description="of peak FLOP/s")
    roofline_exponent: float = Field(ge=1, le=100, description="k of the smooth roofline")
    token_passes: float = Field(
        default=0.0, ge=0, le=100, description="times that a token's vectors cross HBM for each of its experts"
    )
    tuned: list[ExpertShape] = Field(
        default_factory=list,
        max_length=256,
        description="experts and ffn for which the engine has tiles tuned to this GPU",
    )
    tuned_flops_speedup: float = Field(
        default=1.0, ge=0.1, le=10, description="how many times quicker tuned tiles multiply"
    )
    uneven_slowdown: float = Field(
        default=1.0,
        ge=1,
        le=10,
        description="how many times longer products take whose ffn on a GPU 16 does not divide",
    )
    spill_tokens: int = Field(
        default=4096, gt=0, le=MOST_TOKENS, description="tokens of a step above which its vectors leave the L2 cache"
    )
    spill_exponent: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="above it products take (tokens / spill_tokens) to this power times as long",
    )


class ExpertKernels(StrictModel):
    """Coefficients of the experts of MoE layers by the kernels that compute them; defaults fitted as the others."""

    fused: ExpertCoefficients = Field(
        description="const_s, efficiencies, roofline_exponent and token_passes of vLLM's fused kernel"
    )
    grouped: ExpertCoefficients = Field(
        description="const_s, efficiencies, roofline_exponent and token_passes of grouped matrix products"
    )

    def of(self, kernel: MoeKernel) -> ExpertCoefficients:
        """Coefficients of one kind."""
        return self.fused if kernel == "fused" else self.grouped


_EXPERTS = ExpertKernels(
    fused=ExpertCoefficients(
        const_s=40e-6, bandwidth_efficiency=0.95, flops_efficiency=0.42, roofline_exponent=1.6, token_passes=4.7
    ),
    grouped=ExpertCoefficients(const_s=221e-6, bandwidth_efficiency=0.86, flops_efficiency=0.70, roofline_exponent=1.3),
)
"""Of the A100-80GB."""


class Tile(StrictModel):
    """What one multiprocessor computes at a time in one kind of matrix kernel."""

    rows: int = Field(gt=0, le=4096, description="tokens of a tile")
    columns: int = Field(gt=0, le=4096, description="outputs of a tile")
    efficiency: float = Field(ge=1e-4, le=1, description="of linear_flops_efficiency, which the best kernel reaches")


class MatmulTiles(StrictModel):
    """The tiles among which a library of matrix products chooses."""

    large: Tile = Field(description="rows, columns and efficiency of the tile for many tokens")
    medium: Tile = Field(description="rows, columns and efficiency of the tile for some")
    small: Tile = Field(description="rows, columns and efficiency of the tile for few")

    @property
    def kinds(self) -> tuple[Tile, ...]:
        """The tiles, largest first."""
        return (self.large, self.medium, self.small)


_TILES = MatmulTiles(
    large=Tile(rows=128, columns=256, efficiency=1.0),
    medium=Tile(rows=128, columns=128, efficiency=0.917),
    small=Tile(rows=64, columns=128, efficiency=0.829),
)
"""Of cuBLAS for bf16 on the A100-80GB."""


class AllReduceTimes(StrictModel):
    """Measured times of one all-reduce over `tp` GPUs."""

    tp: int = Field(ge=2, le=64, description="GPUs that reduce")
    num_bytes: list[Annotated[float, Field(gt=0, le=1e15)]] = Field(
        min_length=2, max_length=64, description="bytes that each GPU holds, ascending"
    )
    seconds: list[Annotated[float, Field(gt=0, le=LONGEST_WAIT_S)]] = Field(
        min_length=2, max_length=64, description="time of each size [s]"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.num_bytes) != len(self.seconds):
            raise ValueError(f"{len(self.num_bytes)} num_bytes beside {len(self.seconds)} seconds; give one a size")
        if any(b <= a for a, b in itertools.pairwise(self.num_bytes)):
            raise ValueError("num_bytes must ascend")
        if any(b < a for a, b in itertools.pairwise(self.seconds)):
            raise ValueError("seconds must not fall: more bytes take no less time")
        return self


class DecodeAttention(StrictModel):
    """Decode attention of one layer by how much of a GPU a batch fills: its sequences times the KV heads of each."""

    batch_heads: list[Annotated[float, Field(ge=1, le=1e6)]] = Field(
        min_length=2, max_length=16, description="sequences times KV heads on a GPU, ascending"
    )
    const_s: list[Annotated[float, Field(ge=1e-9, le=1)]] = Field(
        min_length=2, max_length=16, description="at each, however long the contexts [s]"
    )
    bandwidth_efficiency: list[Annotated[float, Field(ge=1e-4, le=1)]] = Field(
        min_length=2, max_length=16, description="at each, of HBM bandwidth"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        counts = {len(self.batch_heads), len(self.const_s), len(self.bandwidth_efficiency)}
        if len(counts) > 1:
            raise ValueError("batch_heads, const_s and bandwidth_efficiency must be equally long")
        if any(b <= a for a, b in itertools.pairwise(self.batch_heads)):
            raise ValueError("batch_heads must ascend")
        return self


class StepCoefficients(StrictModel):
    """Coefficients of the operator-sum step model; defaults fitted to A100-80GB SXM layer timings."""

    step_const_s: float = Field(default=1.5e-3, ge=0, le=1, description="c_step: scheduling and launch of a step [s]")
    sequence_s: float = Field(default=10e-6, ge=0, le=1, description="c_seq: per sequence that samples [s]")
    matmul_const_s: float = Field(default=2.9e-6, ge=0, le=1, description="launch and tail of one matrix product [s]")
    linear_bandwidth_efficiency: float = Field(
        default=0.734, ge=1e-4, le=1, description="of HBM bandwidth, linear layers"
    )
    linear_flops_efficiency: float = Field(
        default=0.926, ge=1e-4, le=1, description="of peak FLOP/s, the best tile of linear layers"
    )
    roofline_exponent: float = Field(default=3.2, ge=1, le=100, description="k of the smooth roofline")
    tiles: MatmulTiles = Field(default=_TILES, description="large, medium and small tiles of matrix products")
    wave_s: float = Field(default=2.2e-6, ge=0, le=1, description="filling and draining of a wave of tiles [s]")
    split_passes: float = Field(
        default=0.65, ge=0, le=100, description="times that the partial sums of a split product cross HBM"
    )
    experts: ExpertKernels = Field(default=_EXPERTS, description="experts of MoE layers, by limits.moe_kernel")
    elementwise_const_s: float = Field(
        default=2.1e-6, ge=0, le=1, description="launches of norms, rotary, activation: per layer [s]"
    )
    elementwise_bandwidth_efficiency: float = Field(default=0.385, ge=1e-4, le=1, description="of HBM bandwidth")
    elementwise_exponent: float = Field(
        default=1.0,
        ge=1,
        le=100,
        description="how launches and traffic overlap: 1 they add up, large: the longer counts",
    )
    attention_passes: float = Field(
        default=4.0, ge=0, le=100, description="times that a token's vectors of all query heads cross HBM"
    )
    attention_kv_passes: float = Field(
        default=7.4,
        ge=0,
        le=100,
        description="times that a token's vectors of all KV heads cross HBM, beside the cache",
    )
    attention_prefill_const_s: float = Field(default=12e-6, ge=0, le=1, description="per layer, with any prefill [s]")
    attention_prefill_flops_efficiency: float = Field(default=0.52, ge=1e-4, le=1, description="of peak FLOP/s")
    attention_decode_const_s: float = Field(default=17e-6, ge=0, le=1, description="per layer, with any decode [s]")
    attention_decode_s_per_sequence: float = Field(default=0.2e-6, ge=0, le=1, description="per layer and sequence [s]")
    attention_decode_bandwidth_efficiency: float = Field(default=0.78, ge=1e-4, le=1, description="of HBM bandwidth")
    attention_decode: DecodeAttention | None = Field(
        default=None,
        description="batch_heads, const_s and bandwidth_efficiency, in place of the three constants of decoding",
    )
    allreduce: list[AllReduceTimes] = Field(
        default_factory=list, max_length=8, description="tp, num_bytes and seconds of measured all-reduces"
    )
    allreduce_const_s: float = Field(
        default=6e-6, ge=0, le=1, description="latency of one all-reduce, where none was measured [s]"
    )
    allreduce_bus_bytes_per_s: float = Field(
        default=183e9,
        ge=1,
        le=MOST_BYTES_PER_S,
        description="where none was measured, bytes a ring moves over a GPU's links: x take 2*(tp-1)/tp*x [bytes/s]",
    )
