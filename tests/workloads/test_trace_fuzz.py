"""Mutated trace files of every format are refused in one paragraph or read as a possible trace, never anything else.

MAESTRO_FUZZ=2000 tries so many mutations a format instead of a few; the mutations of one number are the same each time.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from maestro_gym.config.bounds import MOST_TOKENS
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import read_trace, trace_table, write_table
from maestro_gym.workloads.traces.explain import explain
from maestro_gym.workloads.traces.files import Imported, import_trace
from tests.workloads.foreign_files import FILES, Foreign

TIMES = int(os.environ.get("MAESTRO_FUZZ", "25"))
WORKFLOW = Foreign(
    ".csv",
    [
        {
            "workflow_id": f"w{i // 2}",
            "call_id": "ab"[i % 2],
            "parent_ids": "a" if i % 2 else "",
            "arrival_s": 3.0 * (i // 2),
            "application": "chat",
            "role": "writer",
            "model": "small",
            "prompt_tokens": 100 + i,
            "output_tokens": 20,
            "max_output_tokens": 64,
            "tool_gap_s": 0.5 * (1 - i % 2),
            "class": "interactive",
            "deadline_s": 60.0,
            "ttft_limit_s": 5.0,
            "ctx_group": f"w{i // 2}",
            "ctx_prefix_tokens": 100 * (i % 2),
        }
        for i in range(4)
    ],
    ("prompt_tokens",),
)
KNOWN = {"workflow": WORKFLOW, **FILES}

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            "",
            " ",
            "nan",
            "inf",
            "-1",
            "0",
            "1e400",
            "1_0",
            "\u0661",
            "|",
            "a|a",
            "x" * 300,
            "\ufeff",
            "\x00",
        ),
        *(
            0,
            -1,
            1,
            3,
            2.5,
            -0.0,
            1e300,
            float("nan"),
            float("inf"),
            2**31,
            2**63,
            2**64,
            10**30,
            10**400,
            MOST_TOKENS,
            10**12,
        ),
        *([], {}, [None], [[]], {"a": None}, {"value": -1}, [1, "1"], "2023-01-01", "9999-12-31T23:59:59Z", "=1+1"),
    ]
)


def _places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    if at:
        yield at
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inside:
        yield from _places(value, (*at, key))


def _holder(tree: Any, place: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any JSON
    for key in place[:-1]:
        tree = tree[key]
    return tree


def _mutated_rows(rows: list[dict[str, Any]], data: st.DataObject) -> list[Any]:
    rows = copy.deepcopy(rows)
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(_places(rows))
        if not places:
            break
        place = data.draw(st.sampled_from(places))
        holder, key = _holder(rows, place), place[-1]
        how = data.draw(st.sampled_from(["odd", "odd", "odd", "other", "drop", "double", "swap", "rename", "scale"]))
        if how == "odd":
            holder[key] = data.draw(ODD)
        elif how == "other":
            other = data.draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(_holder(rows, other)[other[-1]])
        elif how == "drop":
            del holder[key]
        elif how == "double" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif how == "swap" and isinstance(holder, list):
            holder[key], holder[0] = holder[0], holder[key]
        elif how == "rename" and isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["x", "", "_row", "_seen", "id", "type"]))] = holder.pop(key)
        elif how == "scale" and isinstance(holder[key], int | float):
            holder[key] = holder[key] * data.draw(st.sampled_from([-1, 0, 0.5, 1e-3, 1e3, 1e9]))
    return rows


def _as_text(rows: list[Any], suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(rows[0] if len(rows) == 1 else rows)
    if suffix == ".jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    rows = [row for row in rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = io.StringIO()
    writer = csv.DictWriter(lines, names)
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def _mutated_bytes(content: bytes, data: st.DataObject) -> bytes:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        how = data.draw(st.sampled_from(["cut", "drop", "insert", "flip", "repeat", "line"]))
        if how == "cut":
            content = content[:at]
        elif how == "drop":
            content = content[:at] + content[at + data.draw(st.integers(1, 9)) :]
        elif how == "insert":
            added = data.draw(
                st.sampled_from([b",", b'"', b"\n", b"\r", b"\x00", b"\xff", b"{", b"[", b"}", b"9", b"-", b";", b"\t"])
            )
            content = content[:at] + added + content[at:]
        elif how == "flip" and content:
            content = content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :]
        elif how == "repeat":
            content = content[:at] + content[at : at + 40] + content[at:]
        else:
            lines = content.split(b"\n")
            lines.insert(at % (len(lines) + 1), lines[at % len(lines)])
            content = b"\n".join(lines)
    return content


def _is_possible(read: Imported, path: Path) -> None:
    """Hold a trace that was accepted against what every trace is, and against its own table read again."""
    trace = read.trace
    stages, hidden, workflows = trace.stages, trace.hidden, trace.workflows
    assert len(stages) >= 1
    assert np.all((stages["prompt_tokens"] >= 1) & (stages["prompt_tokens"] <= 2 * MOST_TOKENS))
    assert np.all((hidden["output_tokens"] >= 1) & (hidden["output_tokens"] <= stages["max_output_tokens"]))
    for kind in ("sys", "ctx"):
        shared = stages[f"{kind}_prefix_tokens"]
        assert np.all((shared >= 0) & (shared <= stages["prompt_tokens"]))
        assert np.all((stages[f"{kind}_group"] >= 0) | (shared == 0))
    for seconds in (hidden["tool_gap_s"], workflows["arrival_s"], workflows["deadline_s"], workflows["ttft_limit_s"]):
        assert np.all((seconds >= 0) & (seconds <= 1e13))
    assert np.all(np.diff(workflows["arrival_s"]) >= 0)
    children = np.repeat(np.arange(len(stages)), np.diff(trace.parent_start))
    assert np.all(trace.parents < children - workflows["first_stage"][stages["workflow"][children]])
    told = explain(read)
    assert "np." not in str(told)
    written = path.with_name("again.csv")
    write_table(trace_table(trace), written)
    again = read_trace(written)
    assert np.array_equal(again.parents, trace.parents)
    for field in ("prompt_tokens", "ctx_prefix_tokens", "sys_prefix_tokens"):
        assert np.array_equal(again.stages[field], stages[field])


def _holds(content: bytes, path: Path) -> bool:
    """Write a file and import it; say whether it was accepted."""
    path.write_bytes(content)
    try:
        read = import_trace(path)
    except MaestroError as error:
        message = str(error)
        assert "\n" not in message.strip()
        assert path.name in message
        assert "np." not in message
        assert "Traceback" not in message
        assert len(message) < 1500
        return False
    _is_possible(read, path)
    return True


def _fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    checks = [
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ]
    return settings(
        max_examples=TIMES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=checks,
        phases=(Phase.generate, Phase.shrink),
    )(given(data=st.data())(test))


@pytest.mark.parametrize("name", KNOWN)
@_fuzzed
def test_mutated_content_is_refused_in_words_or_makes_a_possible_trace(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    known = KNOWN[name]
    text = _as_text(_mutated_rows(known.rows, data), known.suffix)
    _holds(text.encode("utf-8", "surrogatepass"), tmp_path / f"trace{known.suffix}")


@pytest.mark.parametrize("name", KNOWN)
@_fuzzed
def test_mutated_bytes_are_refused_in_words_or_make_a_possible_trace(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    known = KNOWN[name]
    content = _mutated_bytes(_as_text(known.rows, known.suffix).encode(), data)
    _holds(content, tmp_path / f"trace{known.suffix}")


@pytest.mark.parametrize("name", KNOWN)
def test_the_files_that_are_mutated_are_accepted_as_they_are(name: str, tmp_path: Path) -> None:
    known = KNOWN[name]
    assert _holds(_as_text(known.rows, known.suffix).encode(), tmp_path / f"trace{known.suffix}")
