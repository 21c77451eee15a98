"""How fast the simulator is here: ``make bench`` prints the table, ``--json FILE`` keeps it.

Cells take turns, so a machine that is busy with other things slows all of them: trust the ratios.
"""

from __future__ import annotations

from time import perf_counter

_BEGAN = perf_counter()

import argparse  # noqa: E402 - the clock starts before the imports that it measures
import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the simulator's speed on this machine.")
    parser.add_argument("--repeats", type=int, default=5, help="rounds through all cells (default 5)")
    parser.add_argument("--decisions", type=int, default=400, help="decisions of each environment (default 400)")
    parser.add_argument("--interpreted-decisions", type=int, default=60, help="of the interpreted run (default 60)")
    parser.add_argument(
        "--skip-cold", action="store_true", help="leave out compiling everything anew, a minute or more"
    )
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--child", choices=["start", "short"], help=argparse.SUPPRESS)
    return parser.parse_args()


# Asked for help, it answers before anything is compiled.
_ARGUMENTS = _arguments()

import cells  # noqa: E402
from machine import machine, machine_line, summary  # noqa: E402

from maestro_gym.cli.console import output, show_table, write_json  # noqa: E402

_IMPORTED_S = perf_counter() - _BEGAN
_HIGH = ("contention=high",)
_LOW = ("contention=low",)
_SHORT = ("contention=high", "horizon_s=60")
"""For the interpreter, which is slow at making a long episode too; compiled code runs the same."""


def _child(what: str, decisions: int, environment: dict[str, str]) -> dict[str, float]:
    """Run one of the `--child` parts in a fresh process."""
    words = [sys.executable, __file__, "--child", what, "--interpreted-decisions", str(decisions)]
    done = subprocess.run(words, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _answer_child(arguments: argparse.Namespace) -> None:
    if arguments.child == "start":
        print(json.dumps({"import_s": _IMPORTED_S, **cells.start_times()}))
        return
    cell = cells.SingleCell(_SHORT, arguments.interpreted_decisions)
    print(json.dumps({"decisions_per_s": cell.measure().decisions_per_s}))


def _rates(repeats: int, decisions: int) -> list[dict[str, Any]]:
    """Rows of decisions per second; the cells take turns."""
    threads = min(2, os.cpu_count() or 1)
    table: dict[str, Any] = {
        "1 environment": cells.SingleCell(_HIGH, decisions),
        "16 environments, 1 thread": cells.VectorCell(_HIGH, 16, 1, decisions),
        "64 environments, 1 thread": cells.VectorCell(_HIGH, 64, 1, decisions),
        f"64 environments, {threads} threads": cells.VectorCell(_HIGH, 64, threads, decisions),
        f"64 environments, {threads} threads, low contention": cells.VectorCell(_LOW, 64, threads, decisions),
        "whole episode, warm-jsq": cells.EpisodeCell(_HIGH, "warm-jsq"),
        "whole episode, maestro": cells.EpisodeCell(_HIGH, "maestro"),
        "whole episode, maestro, low contention": cells.EpisodeCell(_LOW, "maestro"),
    }
    for cell in table.values():
        cell.measure()
    results: dict[str, list[cells.Measured]] = {name: [] for name in table}
    for _ in range(repeats):
        for name, cell in table.items():
            results[name].append(cell.measure())
    rows = []
    for name, repeats_of in results.items():
        rate = summary([measured.decisions_per_s for measured in repeats_of])
        last = repeats_of[-1].more
        row: dict[str, Any] = {"what": name, "decisions_per_s": rate["median"], "min": rate["min"], "max": rate["max"]}
        row["reached_s"] = last["reached_s"]
        for key in ("stages_per_s", "simulated_s_per_s"):
            row[key] = summary([measured.more[key] for measured in repeats_of])["median"] if key in last else None
        rows.append(row)
    return rows


def _interpreted(repeats: int, decisions: int) -> list[dict[str, Any]]:
    """The same source interpreted and compiled, one core, the same decisions, in turns."""
    slow, fast = [], []
    for _ in range(min(repeats, 3)):
        slow.append(_child("short", decisions, {"NUMBA_DISABLE_JIT": "1"})["decisions_per_s"])
        fast.append(_child("short", decisions, {"NUMBA_DISABLE_JIT": "0"})["decisions_per_s"])
    ratio = summary([f / s for f, s in zip(fast, slow, strict=True)])
    return [
        {"what": "interpreted, 1 environment", **summary(slow)},
        {"what": "compiled, 1 environment", **summary(fast)},
        {"what": "ratio", **ratio},
    ]


def _starts(repeats: int, skip_cold: bool) -> list[dict[str, Any]]:
    """Seconds to the first step, compiling everything and from the cache."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        where = {"MAESTRO_CACHE_DIR": folder} if not skip_cold else {}
        if not skip_cold:
            rows.append(_start_row("compiling everything", [_child("start", 0, where)]))
        rows.append(_start_row("from the cache", [_child("start", 0, where) for _ in range(min(repeats, 3))]))
    return rows


def _start_row(what: str, times: list[dict[str, float]]) -> dict[str, Any]:
    ready = [t["make_s"] + t["reset_s"] + t["step_s"] for t in times]
    total = [t["import_s"] + r for t, r in zip(times, ready, strict=True)]
    return {
        "what": what,
        "import_s": summary([t["import_s"] for t in times])["median"],
        "make_reset_step_s": summary(ready)["median"],
        "both_s": summary(total)["median"],
        "both_min_s": min(total),
        "both_max_s": max(total),
    }


def main() -> None:
    """Measure, print, write."""
    arguments = _ARGUMENTS
    if arguments.child:
        _answer_child(arguments)
        return
    before = machine()
    say = output().print
    say(f"scenario quick, tier cluster, companions maestro, random legal actions; {arguments.repeats} repeats in turns")
    rates = _rates(arguments.repeats, arguments.decisions)
    show_table(
        f"Decisions a second, median of {arguments.repeats}; environments: their first {arguments.decisions} decisions",
        rates,
        "reached_s: simulated time at the end of the stretch; whole episodes count the decisions of all tiers",
    )
    ratio = _interpreted(arguments.repeats, arguments.interpreted_decisions)
    show_table(f"Decisions a second on one core, the first {arguments.interpreted_decisions}", ratio)
    starts = _starts(arguments.repeats, arguments.skip_cold)
    show_table("Seconds from the start of the process to the end of the first step", starts)
    say(machine_line(before, os.getloadavg()[0]))
    write_json(arguments.json, {"machine": before, "rates": rates, "interpreted": ratio, "starts": starts})


if __name__ == "__main__":
    main()
