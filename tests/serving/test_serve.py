"""One node that serves: what the simulator prints, beside what a person reckons."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from maestro_gym.cli.app import app
from maestro_gym.config.catalogue import load_catalogue
from maestro_gym.performance.step_tables import step_tables, step_time_s
from maestro_gym.serving.node_scenario import Deployed, node_scenario
from maestro_gym.serving.serve import ALL, Served, latency_rows, node_facts, serve, throughput_rows
from maestro_gym.state import STAGE_FINISHED

CATALOGUE = load_catalogue()
MACHINE = CATALOGUE.machine("A100-80GB")


def served(words: list[str], workload: dict, *, horizon_s: float = 60.0, seed: int = 0, **limits: object) -> Served:
    models = []
    for name in words:
        architecture = CATALOGUE.model(name)
        assert architecture is not None
        models.append(Deployed(name, architecture))
    limits = {"memory_mode": "partitioned", "partitions": len(words), **limits}
    return serve(node_scenario(models, MACHINE, limits=limits, workload=workload, horizon_s=horizon_s), seed=seed)


def trace(folder: Path, text: str) -> dict:
    path = folder / "requests.csv"
    path.write_text(text)
    return {"trace": str(path), "trace_arrivals": "own", "model_map": {"*": "by_popularity"}}


def row(rows: list[dict], **wanted: object) -> dict:
    return next(item for item in rows if all(item[key] == value for key, value in wanted.items()))


def test_a_lone_request_waits_for_the_api_and_its_prefill_and_then_for_each_decode_step(tmp_path: Path) -> None:
    # A minute apart, so that each is alone; the last decodes nothing.
    lines = "arrival_s,prompt_tokens,output_tokens\n0,700,5\n60,700,5\n120,700,1\n"
    result = served(["Llama-3.1-8B"], trace(tmp_path, lines), horizon_s=121.0, prefix_caching=False, api_s=0.03).result
    model = CATALOGUE.model("Llama-3.1-8B")
    assert model is not None
    tables = step_tables(model, MACHINE.gpu, 1, 2048, 128, "fused")
    prefill_s = step_time_s(tables, [(700, 0)], [], sampling_prefills=1)
    decode_s = [step_time_s(tables, [], [700 + token]) for token in range(1, 5)]
    rows = latency_rows(result)
    assert row(rows, quantity="ttft_s")["p50"] == pytest.approx(0.03 + prefill_s, rel=1e-9)
    assert row(rows, quantity="itl_s")["mean"] == pytest.approx(np.mean(decode_s), rel=1e-9)
    assert row(rows, quantity="itl_s")["calls"] == 2
    assert row(rows, quantity="e2e_s")["p99"] <= 0.03 + prefill_s + sum(decode_s) + 1e-9
    assert throughput_rows(result)[0]["output_tokens_per_s"] == pytest.approx(11 / result.end_s)


def test_a_stock_pool_is_taken_block_by_block_so_that_none_is_paused_while_there_is_room() -> None:
    laws = {"prompt_tokens": {"median": 500, "sigma": 0.3}, "output_tokens": {"median": 700, "sigma": 0.3}}
    requests = {"requests": laws, "rate_rps": 7.0}
    limits = {"max_num_seqs": 256, "gpu_memory_utilization": 0.65}
    blocks = served(["Llama-3.1-8B"], requests, **limits).result
    pages = served(["Llama-3.1-8B"], requests, growth_bytes=2.0**27, **limits).result
    mean_s = [(run.stages["finished_s"] - run.stages["ready_s"]).mean() for run in (blocks, pages)]
    # Pages of a thousand tokens, half of them empty, make a pool that is full too early.
    assert blocks.stages["preemptions"].sum() < 0.1 * pages.stages["preemptions"].sum()
    assert mean_s[1] > 1.1 * mean_s[0]


@pytest.mark.parametrize("lines", ["5,1000,101\n", "5,1000,101\n105,1000,101\n"])
def test_a_trace_of_one_or_two_requests_is_replayed_whole(tmp_path: Path, lines: str) -> None:
    three = trace(
        tmp_path, "arrival_s,prompt_tokens,output_tokens\n" + "".join(f"{t},1000,101\n" for t in (5, 105, 205))
    )
    expected = row(latency_rows(served(["Llama-3.1-8B"], three, horizon_s=300.0).result), quantity="e2e_s")
    few = trace(tmp_path, "arrival_s,prompt_tokens,output_tokens\n" + lines)
    rows = latency_rows(served(["Llama-3.1-8B"], few, horizon_s=300.0).result)
    assert row(rows, quantity="e2e_s")["calls"] == lines.count("\n")
    assert row(rows, quantity="e2e_s")["mean"] == pytest.approx(expected["mean"], rel=1e-9)


def test_rows_of_models_add_up_to_the_row_of_all_and_nothing_is_lost() -> None:
    laws = {
        "prompt_tokens": {"median": 600, "sigma": 0.8, "low": 16, "high": 6000},
        "output_tokens": {"median": 120, "sigma": 0.9, "low": 1, "high": 1500},
    }
    run = served(["Llama-3.1-8B", "Qwen2.5-7B"], {"requests": laws, "rate_rps": 6.0})
    result, rows = run.result, throughput_rows(run.result)
    assert [item["model"] for item in rows] == ["Llama-3.1-8B", "Qwen2.5-7B", ALL]
    for column in ("calls", "finished", "calls_per_s", "prompt_tokens_per_s", "output_tokens_per_s", "preemptions"):
        assert rows[0][column] + rows[1][column] == pytest.approx(rows[2][column])
    assert rows[2]["calls"] == rows[2]["finished"] == len(result.workflows) > 200
    assert np.all(result.stages["phase"] == STAGE_FINISHED)
    assert result.counters["output_tokens"] == result.episode.hidden["output_tokens"].sum()
    # Little's law, path by path: residence is what latencies add up to.
    e2e_s = row(latency_rows(result), model=ALL, quantity="e2e_s")
    assert result.counters["weighted_residence"] == pytest.approx(e2e_s["mean"] * e2e_s["calls"])
    facts = node_facts(run)
    assert 0 < facts["kv_used_mean_gb"] <= facts["kv_reserved_mean_gb"] + facts["kv_pool_gb"]
    assert facts["kv_used_peak_gb"] <= facts["kv_pool_gb"]
    assert facts["cold_starts"] == facts["wakes"] == 0


def test_a_shared_prefix_is_computed_once_and_then_hit(tmp_path: Path) -> None:
    lines = ["arrival_s,prompt_tokens,output_tokens,prefix_group,prefix_tokens"]
    lines += [f"{10 * i},1000,4,shared,800" for i in range(5)]
    rows = throughput_rows(served(["Llama-3.1-8B"], trace(tmp_path, "\n".join(lines)), horizon_s=99.0).result)
    assert rows[0]["prefix_hit_rate"] == pytest.approx(4 * 800 / 5000)


def test_a_batch_that_outgrows_the_kv_pool_is_preempted_and_still_finishes(tmp_path: Path) -> None:
    lines = ["arrival_s,prompt_tokens,output_tokens"] + ["0,3000,3000"] * 24
    run = served(["Qwen2.5-32B"], trace(tmp_path, "\n".join(lines)), horizon_s=9.0, gpu_memory_utilization=0.86)
    facts = node_facts(run)
    assert facts["preemptions"] > 0
    assert throughput_rows(run.result)[0]["preemptions"] == facts["preemptions"]
    assert throughput_rows(run.result)[0]["finished"] == 24


def test_the_seed_and_nothing_else_draws_the_requests() -> None:
    laws = {"requests": {"prompt_tokens": {"median": 300, "sigma": 0.5}, "output_tokens": 40}, "rate_rps": 4.0}
    first, again, other = (latency_rows(served(["Llama-3.1-8B"], laws, seed=seed).result) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_models_that_do_not_fit_together_are_said_to_wait() -> None:
    laws = {"requests": {"prompt_tokens": 300, "output_tokens": 40}, "rate_rps": 0.02}
    run = served(["Qwen2.5-32B", "Qwen2.5-14B"], laws, horizon_s=600.0)
    assert "do not fit the node together" in run.notes[0]
    assert node_facts(run)["cold_starts"] > 0


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, ["serve-sim", *words])


def test_what_the_command_prints_it_writes_as_json(tmp_path: Path) -> None:
    path = tmp_path / "served.json"
    files = ["--json", str(path), "--perfetto", str(tmp_path / "trace.json")]
    result = invoke("--rate", "2", "--duration", "30", "--prompt", "400:0.5", "limits.api_s=0.02", *files)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "trace.json").read_text())["otherData"]["policy"] == "fcfs"
    document = json.loads(path.read_text())
    assert {item["quantity"] for item in document["latency"]} == {"ttft_s", "itl_s", "e2e_s"}
    assert document["scenario"]["limits"]["api_s"] == 0.02
    assert document["node"]["offered_rps"] == 2.0
    assert "Llama-3.1-8B" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--rate, --load or --trace"),
        (["--rate", "2", "--load", "0.5"], "one of the three"),
        (["--rate", "2", "-m", "Lama-3.1-8B"], "Llama-3.1-8B"),
        (["--rate", "2", "-m", "Llama-3.1-8B=none"], "NAME=SHARE"),
        (["--rate", "2", "--gpu", "H1000"], "--gpu H1000"),
        (["--rate", "2", "--prompt", "many"], "--prompt many"),
        (["--rate", "2", "--prompt", "0"], "at least one"),
        (["--rate", "2", "--prefix", "600"], "prefix"),
        (["--rate", "2", "--prompt", "200000"], "context"),
        (["--rate", "-1"], "rate_rps"),
        (["--rate", "2", "--memory", "wide"], "memory_mode"),
        (["--rate", "2", "-m", "Llama-2-70B"], "no node of the fleet can host"),
        (["--rate", "0.0001", "--duration", "1"], "no workflow arrives"),
        (["--rate", "2", "--policy", "fcsf"], "fcfs"),
        (["--trace", "nowhere.csv"], "nowhere.csv"),
        (["--rate", "2", "--tp", "3"], "32 attention heads cannot be divided by 3"),
        (["--rate", "2", "--tp", "5"], "Take a tp of 1, 2, 4, 8, 16, 32"),
        (["--rate", "2", "--tp", "64", "--host", "gpu8-1152"], "the host `node` has 8"),
    ],
)
def test_a_mistake_is_told_in_one_paragraph(words: list[str], told: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0,100,5,a,200", "prefix_tokens"),
        ("0,100,5,,50", "prefix_group"),
        ("0,100,5,a,", "prefix_tokens"),
        ("0,100,0,a,10", "output_tokens"),
        ("-1,100,4,a,10", "arrival_s"),
    ],
)
def test_a_bad_row_of_a_trace_is_named(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "requests.csv"
    path.write_text("arrival_s,prompt_tokens,output_tokens,prefix_group,prefix_tokens\n0,50,2,a,16\n" + line + "\n")
    result = invoke("--trace", str(path))
    assert result.exit_code == 2
    assert "row 2" in result.stderr
    assert told in result.stderr
