"""Vidur's profiles (github.com/microsoft/vidur, data/profiling): layers, attention, collectives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maestro_gym.config.catalogue import Catalogue
from maestro_gym.fidelity.folders import by_gpu
from maestro_gym.fidelity.frames import median_columns, read_table
from maestro_gym.fidelity.layers import add_allreduce, read_models
from maestro_gym.fidelity.points import Reading, Source

LINEAR_FREE = (
    "gpu.step.matmul_const_s",
    "gpu.step.linear_bandwidth_efficiency",
    "gpu.step.linear_flops_efficiency",
    "gpu.step.roofline_exponent",
    "gpu.step.tiles.medium.efficiency",
    "gpu.step.tiles.small.efficiency",
    "gpu.step.wave_s",
    "gpu.step.split_passes",
)
ELEMENTWISE_FREE = (
    "gpu.step.elementwise_const_s",
    "gpu.step.elementwise_bandwidth_efficiency",
    "gpu.step.elementwise_exponent",
)
PREFILL_FREE = (
    "gpu.step.attention_passes",
    "gpu.step.attention_kv_passes",
    "gpu.step.attention_prefill_const_s",
    "gpu.step.attention_prefill_flops_efficiency",
)
DECODE_FREE = (
    "gpu.step.attention_decode_const_s",
    "gpu.step.attention_decode_s_per_sequence",
    "gpu.step.attention_decode_bandwidth_efficiency",
    "gpu.step.attention_decode",
)
ALLREDUCE_FREE = ("gpu.step.allreduce",)


def _read(folder: Path, catalogue: Catalogue) -> Reading:
    reading = read_models(folder, catalogue)
    for path, gpu in by_gpu(folder / "network", "*/all_reduce.csv", catalogue, reading):
        _read_allreduce(reading, path, gpu)
    sends = folder.glob("network/*/send_recv.csv")
    for path in sends:
        reading.skip(f"send/receive, {path.parent.name}", len(read_table(path, ["size"])), "no pipeline is modelled")
    return reading


def _read_allreduce(reading: Reading, path: Path, gpu: str) -> None:
    table = read_table(path, ["num_workers", "devices_per_node", "rank", "size", *median_columns(["all_reduce"])])
    workers, devices, rank = table.integers("num_workers", "devices_per_node", "rank")
    across = int(np.sum(workers != devices))
    if across:
        reading.skip("all-reduce between machines", across, "a node lies within one machine")
    # Ranks of one collective end together; rank 0 stands for all.
    for key, rows in table.where((workers == devices) & (rank == 0)).groups(["num_workers"]):
        tp = int(key[0])
        (size,) = rows.floats("size")
        add_allreduce(reading, "all-reduce (NCCL)", gpu, tp, rows.median_s("all_reduce"), size)


SOURCE = Source(
    name="vidur",
    title="Vidur's layer, attention and collective timings",
    read=_read,
    free={
        "linear layers": LINEAR_FREE,
        "element-wise": ELEMENTWISE_FREE,
        "attention prefill": PREFILL_FREE,
        "attention decode": DECODE_FREE,
        "all-reduce (NCCL)": ALLREDUCE_FREE,
    },
    calibrates=("linear layers", "element-wise"),
)
