"""Do the libraries that learners bring run on the environments? The table of docs/learners.md.

    python benchmarks/doors.py [--times 10] [--only NAME ...] [--write]

Every door is a process of its own, so that a crash is one row, and goes through its door `--times` times without a
seed. A door whose library is not installed here is not run; with ``--write`` its row in docs/learners.md stays as it
is, because libraries whose pins differ need interpreters of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

from door_list import gymnasium_doors, sb3_doors, torch_doors  # noqa: E402, F401 - these enter the doors
from door_list.door import DOORS, Door  # noqa: E402

PAGE = ROOT / "docs" / "learners.md"
BEGIN, END = "<!-- doors -->", "<!-- end of doors -->"
HEAD = "| door | library | version | what was run | passed |\n| --- | --- | --- | --- | --- |"
PASSED = "passed a run"


def main() -> int:
    """Run doors and show the table; 1 where a door failed."""
    parser = argparse.ArgumentParser(description="Run other libraries' learners on the environments.")
    parser.add_argument("--times", type=int, default=10, help="runs of each door (default 10)")
    parser.add_argument("--only", nargs="+", choices=list(DOORS), help="these doors alone")
    parser.add_argument(
        "--write", action="store_true", help="write the rows of what is installed into docs/learners.md"
    )
    parser.add_argument("--inside", choices=list(DOORS), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.inside:
        return go_through(DOORS[words.inside], words.times)
    rows, failed = {}, False
    for name in words.only or DOORS:
        found = _version(DOORS[name].package)
        passed = 0 if found is None else _passed(name, words.times)
        failed |= found is not None and passed < words.times
        rows[name] = _row(DOORS[name], found, passed, words.times)
        print(rows[name], flush=True)
    if words.write:
        write(rows)
    return int(failed)


def go_through(door: Door, times: int) -> int:
    """Go through a door some times, in this process, each time in an empty folder."""
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            try:
                door.run(Path(folder))
                print(PASSED, flush=True)
            except Exception as error:  # The door is open or not; why not is for the reader.
                traceback.print_exc()
                print(getattr(error, "stderr", None) or "", file=sys.stderr)
    return 0


def _passed(name: str, times: int) -> int:
    """Runs of a door that passed, in a process of its own; what went wrong goes to standard error."""
    words = [sys.executable, __file__, "--inside", name, "--times", str(times)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    passed = done.stdout.splitlines().count(PASSED)
    if passed < times:
        print(done.stderr[-3000:], file=sys.stderr)
    return passed


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _row(door: Door, found: str | None, passed: int, times: int) -> str:
    """A line of the table."""
    outcome = "not installed" if found is None else f"{passed} of {times}"
    return f"| {door.name} | {door.package} | {found or ''} | {(door.run.__doc__ or '').rstrip('.')} | {outcome} |"


def write(rows: dict[str, str]) -> None:
    """Put rows into the page; a door that could not be run here keeps the row that it has."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    kept = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    table = [
        rows[name] if name in rows and not (rows[name].endswith("not installed |") and name in kept) else kept[name]
        for name in DOORS
        if name in rows or name in kept
    ]
    PAGE.write_text(before + "\n".join([BEGIN, HEAD, *table, END]) + after, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
