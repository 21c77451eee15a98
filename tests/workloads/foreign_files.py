"""A small correct file of every foreign format, as rows that a test may break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple


class Foreign(NamedTuple):
    """Rows of a small correct file.

    Attributes:
        suffix: of the file.
        rows: one mapping a row, all with the same keys.
        counts: columns that must hold whole numbers of at least 0.
        times: columns that must hold numbers of at least 0.
        blank: columns of numbers that may be blank.
    """

    suffix: str
    rows: list[dict[str, Any]]
    counts: tuple[str, ...]
    times: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()


def span(
    name: str, parent: str, start_s: float, end_s: float, trace: str = "t1", **attributes: object
) -> dict[str, Any]:
    """One span; keyword ``input_tokens`` becomes ``gen_ai.usage.input_tokens`` and so on."""
    prefixes = {"input_tokens": "usage.", "output_tokens": "usage.", "model": "request.", "max_tokens": "request."}
    names = {"agent": "agent.name", "tool": "tool.name", "operation": "operation.name"}
    given = {f"gen_ai.{names.get(key, prefixes.get(key, '') + key)}": value for key, value in attributes.items()}
    return {
        "traceId": trace,
        "spanId": name,
        "parentSpanId": parent,
        "name": name,
        "startTimeUnixNano": str(1_700_000_000_000_000_000 + round(start_s * 1e9)),
        "endTimeUnixNano": str(1_700_000_000_000_000_000 + round(end_s * 1e9)),
        "attributes": given,
    }


def call(name: str, parent: str, start_s: float, end_s: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A span of a model call."""
    given = {"operation": "chat", "model": "m", "input_tokens": 100, "output_tokens": 10} | more
    return span(name, parent, start_s, end_s, **given)


def tool(name: str, parent: str, start_s: float, end_s: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A span of a tool."""
    return span(name, parent, start_s, end_s, operation="execute_tool", tool=name, **more)


def observation(name: str, kind: str, parent: str | None, start_s: float, end_s: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """An observation of Langfuse's public API."""
    return {
        "id": name,
        "traceId": "t1",
        "type": kind,
        "name": name,
        "parentObservationId": parent,
        "startTime": f"2026-06-04T12:00:{start_s:06.3f}Z",
        "endTime": f"2026-06-04T12:00:{end_s:06.3f}Z",
        "level": "DEFAULT",
        **more,
    }


def run(name: str, kind: str, parent: str | None, start_s: float, end_s: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A run of LangSmith."""
    return {
        "id": name,
        "trace_id": "root",
        "run_type": kind,
        "name": name,
        "parent_run_id": parent,
        "start_time": f"2026-06-04T12:00:{start_s:09.6f}",
        "end_time": f"2026-06-04T12:00:{end_s:09.6f}",
        "error": None,
        **more,
    }


def request(t: float, asked: int, answered: int, blocks: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A request of a Weka trace, its blocks numbered from 1."""
    ids = list(range(1, blocks + 1))
    given = {"t": t, "type": "n", "model": "big", "in": asked, "out": answered, "hash_ids": ids}
    return {**given, "stop": "tool_use", "api_time": 2.0, "think_time": 0.0, **more}


FILES: dict[str, Foreign] = {
    "azure": Foreign(
        ".csv",
        [
            {"TIMESTAMP": f"2023-11-16 18:15:4{i}", "ContextTokens": 300 + i, "GeneratedTokens": 40 + i}
            for i in range(4)
        ],
        ("ContextTokens", "GeneratedTokens"),
    ),
    "mooncake": Foreign(
        ".jsonl",
        [
            {"timestamp": 10 * i, "input_length": 900 + i, "output_length": 5, "hash_ids": [0, 10 + i % 2]}
            for i in range(4)
        ],
        ("input_length", "output_length"),
        ("timestamp",),
    ),
    "chatdev": Foreign(
        ".csv",
        [
            {
                "workflow_id": f"w{i // 2}",
                "workflow_start": f"2023-08-22T14:46:1{i // 2}",
                "call_index": i % 2,
                "role": "Programmer",
                "phase": "Coding",
                "model": "GPT_4",
                "input_tokens": 700,
                "output_tokens": 80,
                "gap_from_prev_end_s": "" if i % 2 == 0 else 2,
                "events_before": "",
            }
            for i in range(4)
        ],
        ("call_index", "input_tokens", "output_tokens"),
        ("gap_from_prev_end_s",),
        ("gap_from_prev_end_s",),
    ),
    "agentcgroup": Foreign(
        ".csv",
        [
            {
                "session_id": f"s{i // 2}",
                "session_start": f"2026-02-07T02:22:0{i // 2}",
                "call_index": i % 2,
                "agent": "main",
                "model": "m",
                "input_tokens": 5000 + 400 * (i % 2),
                "cache_creation_tokens": "",
                "cache_read_tokens": "",
                "output_tokens": 90,
                "output_chars": 360,
                "output_tokens_reliable": 1,
                "n_tool_calls": 1 - i % 2,
                "tools": "" if i % 2 else "Bash",
                "tool_time_s": "" if i % 2 else 1.5,
            }
            for i in range(4)
        ],
        ("call_index", "input_tokens", "output_tokens", "output_chars", "output_tokens_reliable", "n_tool_calls"),
        ("tool_time_s",),
        ("tool_time_s",),
    ),
    "lmcache": Foreign(
        ".csv",
        [
            {
                "app": "magagent",
                "session_id": f"s{i // 2}",
                "call_index": i % 2,
                "t_log_s": 3.5 * (i % 2),
                "role_inferred": "Coder",
                "stage_inferred": "code",
                "tool_intent": 0,
                "input_tokens_est": 300,
                "output_tokens_est": 60,
                "shared_prefix_tokens_est": 200,
            }
            for i in range(4)
        ],
        ("call_index", "tool_intent", "input_tokens_est", "output_tokens_est", "shared_prefix_tokens_est"),
        ("t_log_s",),
    ),
    "taubench": Foreign(
        ".csv",
        [
            {
                "session_id": f"s{i // 2}",
                "call_index": i % 2,
                "input_tokens_est": 1600 + 200 * (i % 2),
                "output_tokens_est": 30,
                "tool_intent": 1 - i % 2,
                "tool_name": "" if i % 2 else "get_user",
                "next_event": "end" if i % 2 else "tool",
            }
            for i in range(4)
        ],
        ("call_index", "input_tokens_est", "output_tokens_est", "tool_intent"),
    ),
    "who_and_when": Foreign(
        ".csv",
        [
            {
                "session_id": f"s{i // 2}",
                "subset": "Hand-Crafted",
                "step": i % 2,
                "role": "Orchestrator" if i % 2 == 0 else "Computer_terminal",
                "stage": "thought",
                "is_llm_call": 1 - i % 2,
                "history_tokens_est": 100,
                "output_tokens_est": 30,
            }
            for i in range(4)
        ],
        ("step", "is_llm_call", "history_tokens_est", "output_tokens_est"),
    ),
    "burstgpt": Foreign(
        ".csv",
        [
            {
                "Timestamp": 5 + i,
                "Model": "ChatGPT",
                "Request tokens": 400 + i,
                "Response tokens": 0 if i == 2 else 20,
                "Total tokens": 400 + i + (0 if i == 2 else 20),
                "Log Type": "Conversation log",
            }
            for i in range(4)
        ],
        ("Request tokens", "Response tokens", "Total tokens"),
        ("Timestamp",),
    ),
    "otel": Foreign(
        ".jsonl",
        [
            span("root", "", 0, 9, operation="invoke_agent", agent="helper"),
            call("plan", "root", 0, 2),
            tool("search", "root", 2, 3.5),
            call("answer", "root", 4, 9, input_tokens=180, output_tokens=70),
        ],
        ("startTimeUnixNano", "endTimeUnixNano"),
    ),
    "bailian": Foreign(
        ".jsonl",
        [
            {
                "chat_id": i,
                "parent_chat_id": i - 2 if i > 1 else -1,
                "timestamp": 30.0 * i,
                "input_length": 40 + 16 * i,
                "output_length": 9,
                "type": "text",
                "turn": 1 + i // 2,
                "hash_ids": [i % 2, 10 + i, 20 + i, *range(100, 100 + i)],
            }
            for i in range(4)
        ],
        ("input_length", "output_length"),
        ("timestamp",),
    ),
    "requests": Foreign(
        ".csv",
        [{"arrival_s": 2.0 * i, "prompt_tokens": 100 + i, "output_tokens": 9} for i in range(4)],
        ("prompt_tokens", "output_tokens"),
        ("arrival_s",),
    ),
    "tracelab": Foreign(
        ".csv",
        [
            {
                "session_id": i // 2,
                "arrival_time": 200 * (i // 2),
                "round_idx": i % 2,
                "prefix_len": 576 * (i % 2),
                "input_len": 512 if i % 2 == 0 else 128,
                "output_len": 64,
                "tool_wait_after_ms": 100 * (1 - i % 2),
            }
            for i in range(4)
        ],
        ("round_idx", "prefix_len", "input_len", "output_len"),
        ("arrival_time", "tool_wait_after_ms"),
        ("arrival_time", "tool_wait_after_ms"),
    ),
    "weka": Foreign(
        ".jsonl",
        [
            {
                "id": f"trace-{i}",
                "models": ["big"],
                "block_size": 64,
                "hash_id_scope": "local",
                "requests": [
                    request(0.0, 640, 50, 10),
                    {
                        "t": 9.0,
                        "type": "subagent",
                        "agent_id": "agent_001",
                        "subagent_type": "Explore",
                        "duration_ms": 6500,
                        "requests": [
                            request(0.0, 200, 20, 3, model="small"),
                            request(3.0, 300, 20, 4, model="small"),
                        ],
                    },
                    request(10.0, 900, 60, 14, stop="end_turn"),
                ],
            }
            for i in range(4)
        ],
        (),
    ),
    "vllm_bench": Foreign(
        ".json",
        [
            {
                "model_id": "m",
                "request_rate": 2.0,
                "duration": 3.0,
                "input_lens": [100, 200, 300],
                "output_lens": [10, 20, 0],
                "ttfts": [0.1, 0.1, 0.0],
                "itls": [[0.01], [0.02], []],
                "errors": ["", "", "timed out"],
                "start_times": [7.5, 7.0, 8.0],
            }
        ],
        (),
    ),
    "aiperf": Foreign(
        ".jsonl",
        [
            {
                "metadata": {
                    "x_correlation_id": f"c{i // 2}",
                    "turn_index": i % 2,
                    "request_start_ns": 1_700_000_000_000_000_000 + 3 * i * 10**9,
                    "request_end_ns": 1_700_000_000_000_000_000 + (3 * i + 2) * 10**9,
                    "benchmark_phase": "profiling",
                    "was_cancelled": False,
                },
                "metrics": {
                    "input_sequence_length": {"value": 100 + 100 * (i % 2), "unit": "tokens"},
                    "output_sequence_length": {"value": 20, "unit": "tokens"},
                },
                "error": None,
            }
            for i in range(4)
        ],
        (),
    ),
    "langfuse": Foreign(
        ".jsonl",
        [
            observation("helper", "AGENT", None, 0, 9),
            observation("plan", "GENERATION", "helper", 0, 2, model="m", usageDetails={"input": 100, "output": 10}),
            observation("search", "TOOL", "helper", 2, 3.5),
            observation("answer", "GENERATION", "helper", 4, 9, model="m", usageDetails={"input": 180, "output": 70}),
        ],
        (),
    ),
    "langsmith": Foreign(
        ".jsonl",
        [
            run("root", "chain", None, 0, 9),
            run("plan", "llm", "root", 0, 2, prompt_tokens=100, completion_tokens=10, total_tokens=110),
            run("search", "tool", "root", 2, 3.5),
            run("answer", "llm", "root", 4, 9, prompt_tokens=180, completion_tokens=70, total_tokens=250),
        ],
        (),
    ),
}


def write_rows(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write rows as CSV, JSON lines or one JSON document, by the suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows[0] if len(rows) == 1 else rows), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        import csv

        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path
