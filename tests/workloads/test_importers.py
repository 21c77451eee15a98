from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import Deployments, TraceWorkload, episode_key, read_trace
from maestro_gym.workloads.traces.files import import_trace
from tests.workloads.foreign_files import FILES, write_rows

AZURE = "azure_llm_2023/AzureLLMInferenceTrace_conv.csv"
MOONCAKE = "mooncake_fast25/conversation_trace.jsonl"
CHATDEV = "chatdev_workflows/chatdev_calls.csv"
AGENTCGROUP = "agentcgroup_sessions/agent_calls.csv"
LMCACHE = "lmcache_agent_trace/lmcache_agent_calls.csv"
TAUBENCH = "taubench_gpt4o/taubench_airline_calls.csv"
WHO_AND_WHEN = "who_and_when/who_and_when_steps.csv"


def test_azure_requests_become_single_calls(traces_dir: Path) -> None:
    trace = read_trace(traces_dir / AZURE)
    assert len(trace.workflows) == len(trace.stages) == 19_366
    assert trace.stages["prompt_tokens"].mean() == pytest.approx(1155, abs=1)
    assert trace.hidden["output_tokens"].mean() == pytest.approx(211, abs=1)
    assert 3000 < trace.workflows["arrival_s"][-1] < 4000
    assert trace.model_names == ("",)


def test_mooncake_turns_reuse_the_blocks_of_their_conversation(traces_dir: Path) -> None:
    trace = read_trace(traces_dir / MOONCAKE)
    stages = trace.stages
    assert len(trace.workflows) == 12_031
    assert stages["prompt_tokens"].mean() == pytest.approx(12_035, abs=1)
    assert 1000 < trace.num_ctx_groups < 12_031
    reused = np.maximum(stages["ctx_prefix_tokens"], stages["sys_prefix_tokens"]).sum()
    assert 0.3 < reused / stages["prompt_tokens"].sum() < 0.5


def test_chatdev_jobs_become_chains_with_their_gaps(traces_dir: Path) -> None:
    raw = pd.read_csv(traces_dir / CHATDEV)
    trace = read_trace(traces_dir / CHATDEV)
    counts = trace.workflows["num_stages"]
    assert len(counts) == 33
    assert counts.min() == 12
    assert counts.max() == 50
    assert np.median(counts) == pytest.approx(24, abs=8)
    assert len(trace.parents) == 1034 - 33
    assert trace.hidden["tool_gap_s"].sum() == pytest.approx(raw["gap_from_prev_end_s"].fillna(0).sum())
    assert set(trace.model_names) == {"GPT_3_5_TURBO", "GPT_4", ""}


def test_agentcgroup_contexts_grow_and_unreliable_outputs_are_estimated(traces_dir: Path) -> None:
    raw = pd.read_csv(traces_dir / AGENTCGROUP)
    trace = read_trace(traces_dir / AGENTCGROUP)
    assert len(trace.workflows) == 164
    assert len(trace.stages) == 6977
    local = ["GLM" in trace.model_names[m] for m in trace.stages["model"]]
    assert np.median(trace.stages["prompt_tokens"][local]) == pytest.approx(40_301, rel=0.05)
    reused = trace.stages["ctx_prefix_tokens"].sum() / trace.stages["prompt_tokens"].sum()
    assert reused > 0.9
    at = int(np.flatnonzero(trace.rows == 1)[0])
    assert raw["output_tokens_reliable"][0] == 0
    assert trace.hidden["output_tokens"][at] == -(-raw["output_chars"][0] // 4)
    assert trace.stages["prompt_tokens"][at] == 3 + 14_760
    assert np.median(trace.hidden["tool_gap_s"][trace.hidden["tool_intent"] == 1]) < 1.0


def test_lmcache_sessions_become_chains_whose_gaps_leave_out_the_answer(traces_dir: Path) -> None:
    raw = pd.read_csv(traces_dir / LMCACHE)
    trace = read_trace(traces_dir / LMCACHE)
    assert len(trace.workflows) == 69
    assert len(trace.stages) == 1619
    assert set(trace.application_names) == {"magagent", "miniswe", "taubench"}
    total_s = trace.hidden["tool_gap_s"].sum()
    assert 0.2 < total_s / raw["gap_from_prev_s"].sum() < 0.7
    blank = raw["input_tokens_est"] == 0
    known = raw.loc[(raw["app"] == "magagent") & ~blank, "input_tokens_est"].median()
    filled = trace.stages["prompt_tokens"][np.argsort(trace.rows)][(blank & (raw["app"] == "magagent")).to_numpy()]
    assert set(filled) == {round(known)}


def test_taubench_dialogues_share_their_policy_and_name_their_tools(traces_dir: Path) -> None:
    trace = read_trace(traces_dir / TAUBENCH)
    assert len(trace.workflows) == 200
    assert len(trace.stages) == 2454
    assert trace.num_sys_groups == 1
    assert 1500 < trace.stages["sys_prefix_tokens"].max() < 1560
    tool = trace.hidden["tool_intent"] == 1
    assert trace.hidden["output_tokens"][tool].mean() == pytest.approx(35, abs=1)
    assert trace.hidden["output_tokens"][~tool].mean() == pytest.approx(79, abs=1)
    assert "get_reservation_details" in trace.tool_names
    assert np.all(trace.hidden["tool_gap_s"][tool] <= 0.3)


def test_who_and_when_teams_extend_one_transcript(traces_dir: Path) -> None:
    raw = pd.read_csv(traces_dir / WHO_AND_WHEN)
    trace = read_trace(traces_dir / WHO_AND_WHEN)
    assert len(trace.workflows) == 184
    assert len(trace.stages) == int(raw["is_llm_call"].sum())
    assert set(trace.application_names) == {"magentic_one", "ag2"}
    assert "Orchestrator/instruct WebSurfer" in trace.role_names
    assert trace.num_ctx_groups == 184
    terminal = np.array(trace.tool_names)[trace.tools] == "Computer_terminal"
    assert terminal.sum() > 250


@pytest.mark.parametrize("name", [LMCACHE, TAUBENCH, WHO_AND_WHEN])
def test_traces_without_a_clock_take_their_arrivals_from_a_process(
    traces_dir: Path, deployments: Deployments, service: np.ndarray, name: str
) -> None:
    given = {"model_map": {"*": "by_popularity"}, "overlong": "clip"}
    with pytest.raises(MaestroError, match="trace_arrivals=process"):
        TraceWorkload(traces_dir / name, deployments, **given).episode(1, 0.5, 120.0, service)
    made = TraceWorkload(traces_dir / name, deployments, arrivals="process", **given)
    assert len(made.episode(1, 0.5, 120.0, service).workflows) > 20


def test_burstgpt_requests_are_single_calls_without_the_failures(tmp_path: Path) -> None:
    trace = read_trace(write_rows(FILES["burstgpt"].rows, tmp_path / "burst.csv"))
    assert trace.workflows["arrival_s"].tolist() == [0.0, 1.0, 3.0]
    assert trace.rows.tolist() == [1, 2, 4]
    assert trace.stages["prompt_tokens"].tolist() == [400, 401, 403]
    assert trace.application_names == ("burstgpt_conversation_log",)
    assert trace.model_names == ("ChatGPT",)


@pytest.mark.parametrize("name", [AZURE, MOONCAKE, CHATDEV, AGENTCGROUP])
def test_every_public_trace_makes_episodes(
    traces_dir: Path, deployments: Deployments, service: np.ndarray, name: str
) -> None:
    workload = TraceWorkload(
        traces_dir / name, deployments, model_map={"*": "by_popularity"}, overlong="clip", arrivals="scaled"
    )
    for split in ("train", "validation", "test"):
        episode = workload.episode(episode_key(split, 0, 0), 0.5, 120.0, service, split=split)
        assert len(episode.workflows) > 10
        assert np.all(episode.stages["prompt_tokens"] + episode.hidden["output_tokens"] <= 32768)
        assert np.all(np.isfinite(episode.hidden["remaining_s"]))


def test_a_bad_cell_of_a_foreign_file_is_named_by_its_own_column(tmp_path: Path) -> None:
    path = tmp_path / "azure.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\nyesterday,5,6\n")
    with pytest.raises(MaestroError, match=r"row 2 .*`TIMESTAMP`.*yesterday"):
        read_trace(path)
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,-374,44\n")
    with pytest.raises(MaestroError, match=r"row 1 .*`ContextTokens`.*-374"):
        read_trace(path)


def test_requests_out_of_order_are_sorted_and_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "azure.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:02+00:00,100,10\n"
        "2024-05-10 00:00:00.009930+00:00,200,20\n2024-05-10 00:00:01.5+00:00,300,0\n"
    )
    read = import_trace(path)
    assert read.trace.rows.tolist() == [2, 3, 1]
    assert read.trace.workflows["arrival_s"].tolist() == pytest.approx([0, 1.49007, 1.99007])
    assert any("sorted by arrival" in note for note in read.converted.notes)
    assert any("no output tokens" in note for note in read.converted.notes)
    moon = [{"timestamp": t, "input_length": 600, "output_length": 5, "hash_ids": [0, t]} for t in (2000, 0, 1000)]
    trace = read_trace(write_rows(moon, tmp_path / "moon.jsonl"))
    assert trace.rows.tolist() == [2, 3, 1]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [0, 512, 512]


def test_bad_block_ids_are_named_by_row(tmp_path: Path) -> None:
    path = tmp_path / "moon.jsonl"
    good = '{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": [1]}\n'
    path.write_text(good + good.replace("[1]", '"x"'))
    with pytest.raises(MaestroError, match=r"row 2 .*`hash_ids`"):
        read_trace(path)


def test_small_foreign_files_are_recognised_and_read(tmp_path: Path) -> None:
    chatdev = tmp_path / "chatdev.csv"
    chatdev.write_text(
        "workflow_id,workflow_start,call_index,role,phase,model,input_tokens,output_tokens,gap_from_prev_end_s,"
        "events_before\n"
        "b,2023-08-22T10:00:05,0,CEO,Plan,GPT_4,10,20,,\n"
        "a,2023-08-22T10:00:00,0,CEO,,GPT_4,10,20,,\n"
        "a,2023-08-22T10:00:00,1,CTO,Code,,30,40,2.5,Update_Codes\n"
    )
    trace = read_trace(chatdev)
    assert trace.workflows["arrival_s"].tolist() == [0.0, 5.0]
    assert trace.rows.tolist() == [2, 3, 1]
    assert trace.role_names == ("CEO", "CTO/Code", "CEO/Plan")
    assert trace.hidden["tool_gap_s"].tolist() == [2.5, 0.0, 0.0]
    assert trace.hidden["tool_intent"].tolist() == [1, 0, 0]
    moon = tmp_path / "moon.jsonl"
    moon.write_text(
        '{"timestamp": 0, "input_length": 1500, "output_length": 5, "hash_ids": [1, 2, 3]}\n'
        '{"timestamp": 10, "input_length": 700, "output_length": 5, "hash_ids": [9, 10]}\n'
        '{"timestamp": 2000, "input_length": 2040, "output_length": 5, "hash_ids": [1, 2, 4, 5]}\n'
    )
    trace = read_trace(moon)
    assert trace.stages["ctx_group"].tolist() == [0, 1, 0]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [0, 0, 1024]
    assert trace.workflows["arrival_s"].tolist() == [0.0, 0.01, 2.0]
