"""The doors of docs/learners.md: those whose libraries belong to the project are gone through, all are in the table."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "benchmarks" / "doors.py"
sys.path.insert(0, str(PROGRAM.parent))
spec = importlib.util.spec_from_file_location("doors", PROGRAM)
assert spec is not None
assert spec.loader is not None
doors = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doors)

OWN = ("gymnasium", "stable-baselines3", "sb3-contrib", "pettingzoo")


@pytest.mark.parametrize("name", [door.name for door in doors.DOORS.values() if door.package in OWN])
def test_a_door_of_a_library_that_the_project_has_is_open(name: str) -> None:
    words = [sys.executable, str(PROGRAM), "--times", "1", "--only", name]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("| 1 of 1 |")


def test_the_table_has_a_row_for_every_door_and_each_was_passed_every_time() -> None:
    page = (ROOT / "docs" / "learners.md").read_text(encoding="utf-8")
    rows = page.partition(doors.BEGIN)[2].partition(doors.END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [cell[0] for cell in cells] == list(doors.DOORS)
    for name, package, _, what, passed in cells:
        door = doors.DOORS[name]
        assert (package, what) == (door.package, door.run.__doc__.rstrip(".")), name
        assert passed in ("10 of 10", "not installed"), f"{name}: {passed}"


def test_a_door_that_is_shut_passes_no_run_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    runs = []

    def run(folder: Path) -> None:
        runs.append(list(folder.iterdir()))
        raise KeyError("bolt")

    doors.go_through(doors.Door("Shut", "gymnasium", run), 2)
    told = capsys.readouterr()
    assert runs == [[], []]
    assert doors.PASSED not in told.out
    assert "bolt" in told.err


def test_a_door_that_was_not_run_here_keeps_its_row_and_the_others_get_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = list(doors.DOORS)[:3]
    page = tmp_path / "page.md"
    page.write_text(f"above\n{doors.BEGIN}\n{doors.HEAD}\n| {second} | old |\n{doors.END}\nbelow\n", encoding="utf-8")
    monkeypatch.setattr(doors, "PAGE", page)
    doors.write({second: f"| {second} | not installed |", third: f"| {third} | 3 of 3 |", first: f"| {first} | new |"})
    assert page.read_text(encoding="utf-8").splitlines() == [
        "above",
        doors.BEGIN,
        *doors.HEAD.splitlines(),
        f"| {first} | new |",
        f"| {second} | old |",
        f"| {third} | 3 of 3 |",
        doors.END,
        "below",
    ]
