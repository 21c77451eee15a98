"""Import public trace files and hold one row of each against what was worked out by hand.

    python benchmarks/public_traces.py --traces FOLDER [--write]

FOLDER holds the files as they were published, in the folders named below; ``--write`` brings the table of
docs/workloads.md up to date. Ends with 1 where a file is missing or a row differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from maestro_gym.workloads.traces.checks import shown  # noqa: E402
from maestro_gym.workloads.traces.files import import_trace  # noqa: E402
from maestro_gym.workloads.traces.format import ROW  # noqa: E402

PAGE = ROOT / "docs" / "workloads.md"
BEGIN, END = "<!-- public traces -->", "<!-- end of public traces -->"
HEAD = "| file | format | workflows | calls | prompt tokens | output tokens | arrivals [s] | one call, by hand |\n" + (
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
)


class Checked(NamedTuple):
    """One call that was worked out by hand.

    Attributes:
        call: Its row in the file, or its place in a document.
        values: Fields of the workflow-trace format and their values.
        how: Where they come from, in few words.
    """

    call: int | str
    values: Mapping[str, float | str]
    how: str


def _weka(call: str, prompt: int, output: int, blocks: int, gap_s: float, how: str, **more: str) -> Checked:
    known = {"prompt_tokens": prompt, "output_tokens": output, "ctx_prefix_tokens": 64 * blocks, "tool_gap_s": gap_s}
    return Checked(call, {**known, **more}, f"{how}; {blocks} blocks of 64 in common with the call before")


CHECKED: dict[str, Checked] = {
    "azure_llm_2023/AzureLLMInferenceTrace_conv.csv": Checked(
        2, {"arrival_s": 4.314579, "prompt_tokens": 396, "output_tokens": 109}, "18:15:50.9951690 less 18:15:46.6805900"
    ),
    "mooncake_fast25/conversation_trace.jsonl": Checked(
        1001, {"arrival_s": 330.0, "prompt_tokens": 74773, "output_tokens": 681}, "timestamp 330000 ms"
    ),
    "mooncake_fast25/synthetic_trace.jsonl": Checked(
        1001, {"arrival_s": 272.868, "prompt_tokens": 55766, "output_tokens": 24}, "timestamp 272868 ms"
    ),
    "chatdev_workflows/chatdev_calls.csv": Checked(
        4, {"prompt_tokens": 926, "output_tokens": 1432, "role": "Programmer/Coding", "tool_gap_s": 0.0}, "role/phase"
    ),
    "agentcgroup_sessions/agent_calls.csv": Checked(
        5,
        {"prompt_tokens": 21795, "output_tokens": 77, "tool_gap_s": 108.257, "tool": "Task"},
        "4 + 3938 + 17853 tokens; 307 characters / 4",
    ),
    "lmcache_agent_trace/lmcache_agent_calls.csv": Checked(
        4, {"prompt_tokens": 942, "output_tokens": 347, "ctx_prefix_tokens": 872}, "longest common prefix of the log"
    ),
    "taubench_gpt4o/taubench_airline_calls.csv": Checked(
        4,
        {"prompt_tokens": 1972, "output_tokens": 19, "tool": "search_direct_flight", "tool_gap_s": 0.3},
        "a tool call",
    ),
    "who_and_when/who_and_when_steps.csv": Checked(
        5, {"prompt_tokens": 1014, "output_tokens": 176, "role": "DataVerification_Expert"}, "the step after a terminal"
    ),
    "tracelab/replay__examples__multi_session_example.csv": Checked(
        5,
        {"arrival_s": 0.2, "prompt_tokens": 548, "output_tokens": 48, "ctx_prefix_tokens": 448},
        "448 kept + 100; session at 200 ms",
    ),
    "tracelab/replay__examples__session_workload_example.csv": Checked(
        2,
        {"prompt_tokens": 31903, "output_tokens": 15950, "ctx_prefix_tokens": 18333, "tool_gap_s": 0.028},
        "18333 kept + 13570; 28 ms",
    ),
    "weka_agentic/trace_0028.json": _weka("[3]", 19915, 152, 292, 8.17, "57 s less 43 + 5.83 s"),
    "weka_agentic/trace_0034.json": _weka("[3]", 151398, 449, 2342, 298.36, "582 s less 270 + 13.64 s"),
    "weka_agentic/trace_0044.json": _weka("[3]", 80949, 512, 1257, 367.17, "746 s less 372 + 6.83 s"),
    "weka_agentic/trace_0047.json": _weka("[3]", 114078, 274, 1513, 7.68, "202 s less 187 + 7.32 s"),
    "weka_agentic/trace_0153.json": _weka("[3]", 141213, 2207, 2186, 13.59, "190 s less 138 + 38.41 s"),
    "weka_agentic/trace_0277.json": _weka(
        "[4]", 32182, 498, 305, 7.76, "waits for three sub-agents", parent_ids="[1].[3]|[2].[11]|[3].[16]"
    ),
    "weka_agentic/trace_0291.json": _weka("[3]", 77320, 2350, 297, 28.76, "197 s less 126 + 42.24 s"),
    "weka_agentic/trace_0326.json": _weka("[3]", 39330, 111, 611, 2.02, "28 s less 24 + 1.98 s"),
    "servegen/servegen_deepseek_r1_arrivals.csv": Checked(
        "rate", {"rate_rps": 42.52}, "the rates of the window at 79,800 s add up to 42.52 requests a second"
    ),
    "servegen/servegen_m_small_arrivals.csv": Checked(
        "rate", {"rate_rps": 567.05}, "those of the 16 clients with lengths, at 1,023,600 s, add up to 567.05"
    ),
}
RATE_TOLERANCE = 0.1
"""Of drawn arrivals, which are bursty."""


def main() -> int:
    """Show the table; 1 where a file is missing or differs."""
    parser = argparse.ArgumentParser(description="Import public traces and check one row of each.")
    parser.add_argument("--traces", type=Path, required=True, help="folder of the trace files")
    parser.add_argument("--write", action="store_true", help="write the table into docs/workloads.md")
    chosen = parser.parse_args()
    rows, wrong = [], []
    for name in CHECKED:
        path = chosen.traces / name
        if not path.is_file():
            wrong.append(f"{name}: is not in {chosen.traces}")
            continue
        row, differences = checked_row(name, path)
        rows.append(row)
        wrong += differences
        print(row, flush=True)
    for line in wrong:
        print(line, file=sys.stderr)
    if chosen.write and not wrong:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(before + "\n".join([BEGIN, HEAD, *rows, END]) + after, encoding="utf-8")
    return int(bool(wrong))


def checked_row(name: str, path: Path) -> tuple[str, list[str]]:
    """Import a file and look at its checked call.

    Args:
        name: A key of ``CHECKED``.
        path: The file.

    Returns:
        The row of the table, and what differs from what was worked out by hand.
    """
    read, check = import_trace(path), CHECKED[name]
    trace, table = read.trace, read.converted.table
    last_s = float(trace.workflows["arrival_s"][-1])
    if check.call == "rate":
        found = {"rate_rps": (len(trace.workflows) - 1) / last_s}
        tolerance = RATE_TOLERANCE
    else:
        column = ROW if isinstance(check.call, int) else "call_id"
        at = np.flatnonzero((table[column] == check.call).to_numpy())
        found = {field: table[field].iloc[at[0]] for field in check.values} if len(at) else {}
        tolerance = 1e-9
    wrong = [
        f"{name}, {check.call}: {field} is {shown(found.get(field))}, by hand {shown(value)}"
        for field, value in check.values.items()
        if not _agrees(found.get(field), value, tolerance)
    ]
    cells = [
        name.rpartition("/")[2],
        read.format,
        *(
            f"{int(count):,}"
            for count in (
                len(trace.workflows),
                len(trace.stages),
                trace.stages["prompt_tokens"].sum(),
                trace.hidden["output_tokens"].sum(),
            )
        ),
        f"0 to {last_s:,.1f}" if last_s else "none",
        f"{_named(check)}: {', '.join(f'{key} {value}' for key, value in check.values.items())} ({check.how})",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |", wrong


def _named(check: Checked) -> str:
    return f"row {check.call}" if isinstance(check.call, int) else check.call


def _agrees(found: object, value: float | str, tolerance: float) -> bool:
    if isinstance(value, str) or found is None:
        return found == value
    return abs(float(str(found)) - value) <= tolerance * max(abs(value), 1.0)


if __name__ == "__main__":
    sys.exit(main())
