"""Requests replayed by the simulator, with kernels that are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.config.catalogue import Catalogue
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.kernel_tables import kernel_tables
from maestro_gym.fidelity.model_errors import measure
from maestro_gym.performance.operators import allreduce_s
from maestro_gym.performance.step_tables import StepTables, step_time_s
from maestro_gym.serving.replay_requests import one_node, replay

SEQS, BUDGET = 8, 256
KERNELS = ("layernorm", "qkv_proj", "rotary_emb", "o_proj", "gate_up_proj", "act_fn", "down_proj", "embedding")


def write_kernels(folder: Path, kernels: tuple[str, ...] = KERNELS) -> None:
    """Kernels whose times are affine in their size, and attention as the engine has it."""
    folder.mkdir(parents=True)
    sizes = [1, 64, BUDGET]
    rows = [{"layer": name, "tokens": n, "time_us": 20 + 0.1 * n} for name in kernels for n in sizes]
    rows += [{"layer": "final_layernorm", "tokens": n, "time_us": 5} for n in sizes]
    pd.DataFrame(rows).to_csv(folder / "profile_dense.csv", index=False)
    rows = [{"layer": name, "sequences": n, "time_us": 50 + n} for name in ("lm_head", "sampler") for n in (1, SEQS)]
    pd.DataFrame(rows).to_csv(folder / "profile_per_sequence.csv", index=False)
    rows = [
        {"prefill_chunk": q, "kv_prefill": c, "n_decode": 0, "kv_decode": 0}
        | {"time_us": 8 + 0.01 * q + 1e-4 * q * (c + q / 2)}
        for q in (16, 64, 256)
        for c in (0, 128, 2048)
    ]
    rows += [
        {"prefill_chunk": 0, "kv_prefill": 0, "n_decode": b, "kv_decode": c} | {"time_us": 10 + 0.2 * b + 3e-3 * b * c}
        for b in (1, 4, 8)
        for c in (16, 512, 4096)
    ]
    pd.DataFrame(rows).to_csv(folder / "profile_attention.csv", index=False)


def tables_of(folder: Path, catalogue: Catalogue, name: str = "Llama-3.1-8B", tp: int = 1) -> StepTables:
    model = catalogue.model(name)
    assert model is not None
    return kernel_tables(folder, model, catalogue.machine("RTX-PRO-6000-96GB").gpu, tp, BUDGET, SEQS)


def test_the_kernels_add_up_to_a_step(tmp_path: Path, catalogue: Catalogue) -> None:
    write_kernels(tmp_path / "run")
    tables = tables_of(tmp_path / "run", catalogue)
    # 32 layers of eight kernels (two norms), the embedding and the last norm, two kernels that sample.
    kernels_us = (32 * 8 + 1) * (20 + 0.1 * 4) + 5 + 2 * (50 + 4) + 32 * 0.01 * 4
    attention_us = 32 * (10 + 0.2 * 4 + 3e-3 * 4 * 1000)
    assert step_time_s(tables, [], [1000] * 4) == pytest.approx((kernels_us + attention_us) * 1e-6, rel=1e-4)


def test_a_norm_of_queries_and_keys_counts_once_a_layer(tmp_path: Path, catalogue: Catalogue) -> None:
    write_kernels(tmp_path / "without")
    write_kernels(tmp_path / "with", (*KERNELS, "qk_norm"))
    without, with_norm = (tables_of(tmp_path / name, catalogue).step_s for name in ("without", "with"))
    assert with_norm[64] - without[64] == pytest.approx(32 * (20 + 0.1 * 64) * 1e-6)


def test_two_gpus_reduce_twice_a_layer(tmp_path: Path, catalogue: Catalogue) -> None:
    write_kernels(tmp_path / "run")
    one, two = (tables_of(tmp_path / "run", catalogue, tp=tp).step_s for tp in (1, 2))
    reduce_s = float(allreduce_s(catalogue.machine("RTX-PRO-6000-96GB").gpu, 2, np.array(64 * 4096 * 2.0)))
    assert two[64] - one[64] == pytest.approx(32 * 2 * reduce_s)


def test_experts_are_as_many_as_tokens_that_choose_evenly_make_active(tmp_path: Path, catalogue: Catalogue) -> None:
    write_kernels(
        tmp_path / "run", tuple(name for name in KERNELS if name not in ("gate_up_proj", "act_fn", "down_proj"))
    )
    rows = [
        {"ep": ep, "tokens": n, "activated_experts": active, "time_us": ep * (n + 5.0 * active)}
        for ep in (1, 2)
        for n in (1, 64, BUDGET)
        for active in (1, 2, 4, 8)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "run" / "profile_moe.csv", index=False)
    tables = tables_of(tmp_path / "run", catalogue, "Mixtral-8x7B-v0.1")
    # Of eight experts, two a token: 16 tokens leave one idle with a chance of (3/4)^16.
    layer_us = 5 * (20 + 0.1 * 16) + 0.01 * 16 + 16 + 5 * 8 * (1 - 0.75**16)
    assert tables.step_s[16] == pytest.approx((32 * layer_us + 20 + 0.1 * 16 + 5) * 1e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("kernels", "engine", "reason"),
    [
        ((*KERNELS, "mamba_mixer"), {}, "does not know the kernels mamba_mixer"),
        (KERNELS[:-1], {}, "no times of the kernels embedding"),
        (KERNELS, {"data_parallel_size": 2}, "data_parallel_size = 2 is not modelled"),
        (KERNELS, {"enable_expert_parallel": True}, "enable_expert_parallel = True is not modelled"),
        (KERNELS, {"kv_cache_dtype": "fp8"}, "kv_cache_dtype = 'fp8' is not modelled"),
    ],
)
def test_what_a_replay_does_not_know_is_left_out_by_name(
    kernels: tuple[str, ...], engine: dict, reason: str, tmp_path: Path, catalogue: Catalogue
) -> None:
    folder = write_run(tmp_path / "set", catalogue)
    write_kernels(tmp_path / "other", kernels)
    for file in (tmp_path / "other").iterdir():
        file.replace(folder / file.name)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"engine_kwargs": meta["engine_kwargs"] | engine}))
    found = measure(tmp_path / "set", catalogue)
    assert not found.results
    assert any(reason in skipped.reason for _, skipped in found.skipped)


def test_a_lone_request_takes_its_prefill_and_its_decode_steps(tmp_path: Path, catalogue: Catalogue) -> None:
    write_kernels(tmp_path / "run")
    tables, model = tables_of(tmp_path / "run", catalogue), catalogue.model("Llama-3.1-8B")
    assert model is not None
    world = one_node(model, catalogue.machine("A100-80GB"), 1, SEQS, BUDGET)
    (stage,) = replay(world, tables, np.zeros(1), np.array([100]), np.array([11]))
    first_s = step_time_s(tables, [(100, 0)], [], sampling_prefills=1)
    assert stage["first_token_s"] == pytest.approx(first_s, rel=1e-6)
    decode_s = sum(step_time_s(tables, [], [100 + i]) for i in range(1, 11))
    assert stage["finished_s"] - stage["first_token_s"] == pytest.approx(decode_s, rel=1e-3)


def write_run(root: Path, catalogue: Catalogue) -> Path:
    """Requests as the simulator itself serves them with a step constant of 2 ms and 2 ms a call."""
    folder = root / "llmservingsim" / "RTXPRO6000_Llama-3.1-8B"
    write_kernels(folder)
    model = catalogue.model("Llama-3.1-8B")
    assert model is not None
    tables = tables_of(folder, catalogue)
    step_s = tables.step_s + 2e-3 * (np.arange(BUDGET + 1) > 0)
    rng = np.random.default_rng(3)
    arrival_s = np.concatenate([[0.0], np.cumsum(rng.exponential(0.2, 159))])
    prompt, output = rng.integers(20, 400, 160), rng.integers(2, 120, 160)
    world = one_node(model, catalogue.machine("RTX-PRO-6000-96GB"), 1, SEQS, BUDGET)
    stages = replay(world, tables._replace(step_s=step_s), arrival_s, prompt, output)
    to_first, to_last = stages["first_token_s"] - arrival_s, stages["finished_s"] - arrival_s
    rows = [
        {
            "input_toks": int(prompt[i]),
            "output_toks": int(output[i]),
            "queued_ts": 7.0 + arrival_s[i],
            "scheduled_ts": 7.0 + arrival_s[i] + (1.0 if to_first[i] > 1.0 else 0.0),
            "first_token_ts": 7.002 + arrival_s[i] + to_first[i],
            "last_token_ts": 7.002 + arrival_s[i] + to_last[i],
        }
        for i in range(160)
    ]
    (folder / "requests.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    engine = {"tensor_parallel_size": 1, "max_num_seqs": SEQS, "max_num_batched_tokens": BUDGET}
    (folder / "meta.json").write_text(json.dumps({"model": "meta-llama/Llama-3.1-8B", "engine_kwargs": engine}))
    return folder


def test_constants_fitted_to_the_first_requests_predict_the_others(tmp_path: Path, catalogue: Catalogue) -> None:
    write_run(tmp_path, catalogue)
    results = {item.quantity: item for item in measure(tmp_path, catalogue).results}
    assert results["E2E"].shipped.points == 160
    for name in ("E2E", "TPOT"):
        split = results[name].split
        assert split is not None
        assert split.points == 60
        assert split.median < 0.02
    # No request waited long enough to have queued.
    assert results["TTFT, unqueued"].shipped.points == 160
    assert "TTFT, queued" not in results


def test_a_request_without_a_time_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    folder = write_run(tmp_path, catalogue)
    (folder / "requests.jsonl").write_text('{"input_toks": 3}\n')
    with pytest.raises(MaestroError, match=r"line 1.*queued_ts"):
        measure(tmp_path, catalogue)


@pytest.mark.parametrize("content", ["{", "[1, 2]", "3"])
def test_a_run_that_is_not_described_by_an_object_is_a_mistake(
    content: str, tmp_path: Path, catalogue: Catalogue
) -> None:
    folder = write_run(tmp_path, catalogue)
    (folder / "meta.json").write_text(content)
    with pytest.raises(MaestroError, match=r"meta\.json: must be a JSON object with `model` and `engine_kwargs`"):
        measure(tmp_path, catalogue)
