"""Layer timings that follow Vidur's columns: linear, element-wise, attention (Vidur and Frontier)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maestro_gym.config import ArchitectureConfig
from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.config.step_coefficients import AllReduceTimes
from maestro_gym.fidelity.folders import by_gpu
from maestro_gym.fidelity.frames import median_columns, read_table
from maestro_gym.fidelity.points import Reading
from maestro_gym.performance.operators import allreduce_s, attention_token_s, elementwise_s, linear_s
from maestro_gym.performance.step_tables import attention_record, decode_attention

LINEAR = ("attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj")
ELEMENTWISE = ("input_layernorm", "post_attention_layernorm", "attn_rope", "mlp_act", "add")
_SHAPE = ("n_head", "n_kv_head", "n_embd", "n_expanded_embd", "vocab_size", "use_gated_mlp")
_TP = "num_tensor_parallel_workers"
_ALLREDUCE_SIZES = 64
"""Most sizes that a machine keeps of an all-reduce."""
_ALLREDUCE_BYTES = 1 << 27
"""Largest size that it keeps: 8,192 tokens of 8,192 values in bf16. Beyond, the bandwidth stays."""


def read_models(folder: Path, catalogue: Catalogue) -> Reading:
    """Read what is laid out as ``GPU/MODEL/mlp.csv`` and ``GPU/MODEL/attention*.csv``.

    Args:
        folder: Of the source.
        catalogue: Knows the GPUs.

    Returns:
        What it held.
    """
    reading = Reading()
    for path, gpu in by_gpu(folder, "*/*/mlp.csv", catalogue, reading):
        _read_layers(reading, path, gpu)
    for path, gpu in by_gpu(folder, "*/*/attention*.csv", catalogue, reading):
        _read_attention(reading, path, gpu)
    return reading


def _read_layers(reading: Reading, path: Path, gpu: str) -> None:
    """Read one ``mlp.csv``: the time of one layer's operators against tokens and TP, in ms.

    Args:
        reading: Where the points go.
        path: The file; its folder names the model.
        gpu: Name of the hardware in the catalogue.
    """
    table = read_table(path, [*_SHAPE, _TP, "num_tokens", *median_columns(LINEAR)])
    # A model without a second norm has no column for it.
    missing = [name for name in median_columns(ELEMENTWISE) if not table.has(name)]
    if missing:
        reading.skip(f"element-wise, {path.parent.name}", len(table), f"no column {', '.join(missing)}")
    for key, rows in table.groups([*_SHAPE, _TP]):
        heads, kv_heads, hidden, ffn, vocab, gated, tp = (int(value) for value in key)
        architecture = ArchitectureConfig(
            layers=1,
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=hidden // heads,
            ffn=ffn,
            vocab=vocab,
            max_model_len=1,
            gated_ffn=bool(gated),
        )
        (tokens,) = rows.floats("num_tokens")
        linear = np.sum([rows.median_s(name) for name in LINEAR], axis=0)
        # The residual is added after attention and after the feed-forward block.
        summed = () if missing else (*ELEMENTWISE, "add")
        element = np.sum([rows.median_s(name) for name in summed], axis=0)
        case = f"{path.parent.name} tp {tp}"
        for quantity, seconds, operator in (
            ("linear layers", linear, linear_s),
            ("element-wise", element, elementwise_s),
        ):
            if operator is elementwise_s and missing:
                continue
            reading.add(
                quantity,
                case,
                gpu,
                seconds,
                lambda on, a=architecture, tp=tp, n=tokens, operator=operator: operator(a, on.gpu, tp, n),
                lambda i, n=tokens, case=case: f"{case}, {n[i]:.0f} tokens",
            )


def _read_attention(reading: Reading, path: Path, gpu: str) -> None:
    """Read one ``attention.csv``: one layer's attention against cached tokens, batch and chunk, in ms.

    Args:
        reading: Where the points go.
        path: The file; its folder names the model.
        gpu: Name of the hardware in the catalogue.
    """
    shape = ["n_embd", "n_q_head", "n_kv_head", _TP]
    axes = ["batch_size", "prefill_chunk_size", "kv_cache_size"]
    timed = median_columns(("attn_prefill", "attn_decode"))
    table = read_table(path, [*shape, *axes, *timed], ["is_prefill"])
    prefill_rows = np.array([word.lower() in ("true", "1") for word in table.words("is_prefill")], dtype=bool)
    for prefill, name in ((True, "attn_prefill"), (False, "attn_decode")):
        for key, rows in table.where(prefill_rows == prefill).groups(shape):
            hidden, heads, kv_heads, tp = (int(value) for value in key)
            width = hidden // heads
            sizes = rows.floats(*axes)
            case = f"{path.parent.name} tp {tp}"

            def predict(
                on: Machine,
                shape: tuple[int, int, int, int] = (heads, kv_heads, width, tp),
                sizes: list[np.ndarray] = sizes,
                prefill: bool = prefill,
            ) -> np.ndarray:
                batch, chunk, cached = sizes
                return attention_s(on, shape, batch, chunk if prefill else None, cached)

            def label(i: int, sizes: list = sizes, case: str = case) -> str:
                return f"{case}, batch {sizes[0][i]:.0f}, chunk {sizes[1][i]:.0f}, {sizes[2][i]:.0f} cached"

            quantity = "attention prefill" if prefill else "attention decode"
            reading.add(quantity, case, gpu, rows.median_s(name), predict, label)


def attention_s(
    on: Machine,
    shape: tuple[int, int, int, int],
    batch: np.ndarray,
    chunk: np.ndarray | None,
    cached: np.ndarray,
) -> np.ndarray:
    """Attention of one layer as the engine reckons it.

    Args:
        on: What it runs on.
        shape: Query heads and KV heads of the model, width of a head, GPUs of the node.
        batch: float64, shape (points,): sequences.
        chunk: float64, shape (points,): new tokens of each sequence; None decodes.
        cached: float64, shape (points,): tokens of each sequence that are in the cache.

    Returns:
        Seconds, shape (points,).
    """
    heads, kv_heads, head_dim, tp = shape
    layer = ArchitectureConfig(
        layers=1, hidden=1, heads=heads, kv_heads=kv_heads, head_dim=head_dim, ffn=1, vocab=1, max_model_len=1
    )
    token_s = attention_token_s(layer, on.gpu, tp, batch if chunk is None else batch * chunk)
    if chunk is None:
        decode = decode_attention(layer, on.gpu, tp, batch)
        return token_s + decode["const_s"] + decode["s_per_token"] * batch * cached
    record = attention_record(layer, on.gpu, tp)
    pairs = batch * chunk * (cached + chunk / 2.0)
    return token_s + float(record["att_prefill_const_s"]) + float(record["att_prefill_s_per_pair"]) * pairs


def add_allreduce(reading: Reading, quantity: str, gpu: str, tp: int, measured_s: np.ndarray, size: np.ndarray) -> None:
    """Add the timings of one all-reduce.

    Args:
        reading: What takes them.
        quantity: Heading of their table.
        gpu: Name in the catalogue.
        tp: GPUs of the node.
        measured_s: float64, shape (n,), in seconds.
        size: float64, shape (n,), bytes that each GPU holds.
    """
    reading.add(
        quantity,
        f"tp {tp}",
        gpu,
        measured_s,
        lambda on: allreduce_s(on.gpu, tp, size),
        lambda i: f"tp {tp}, {size[i]:.0f} bytes",
        tabulate=lambda machine, chosen: _with_allreduce(machine, tp, size[chosen], measured_s[chosen]),
    )


def _with_allreduce(machine: Machine, tp: int, size: np.ndarray, seconds: np.ndarray) -> Machine:
    """Make measured all-reduces the machine's: the median of each size, and no size quicker than a smaller one."""
    sizes = np.unique(size)
    medians = np.array([np.median(seconds[size == value]) for value in sizes])
    # An outlier stands above what follows it.
    rising = np.minimum.accumulate(medians[::-1])[::-1]
    last = max(2, int(np.sum(sizes <= _ALLREDUCE_BYTES)))
    chosen = np.unique(np.linspace(0, last - 1, min(last, _ALLREDUCE_SIZES)).astype(int))
    table = AllReduceTimes(tp=tp, num_bytes=sizes[chosen].tolist(), seconds=rising[chosen].tolist())
    step = machine.gpu.step
    others = [item for item in step.allreduce if item.tp != tp]
    changed = step.model_copy(update={"allreduce": sorted([*others, table], key=lambda item: item.tp)})
    return machine._replace(gpu=machine.gpu.model_copy(update={"step": changed}))
