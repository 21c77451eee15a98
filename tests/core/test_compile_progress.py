"""What is said while the simulator is compiled: which part of how many, and nothing that is not so."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from numba.core.event import Event, EventStatus

from maestro_gym.core import compile_progress
from maestro_gym.core.code_cache import cache_dir
from maestro_gym.core.compile_progress import LONGEST_SILENCE_S, PARTS, CompileProgress, Part

ROOT = Path(__file__).parents[2]
WHOLE = Part("whole", "core.hashing", "whole", "core.code_cache")
INNER = Part("inner", "core.errors", "inner", "core.code_cache")
LATER = Part("later", "core.errors", "later", "core.code_cache")
OTHER = Part("other", "core.errors", "other", "core.not_imported")
CHOSEN = Part("chosen", "core.errors", "chosen")


@pytest.fixture(autouse=True)
def _few_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("MAESTRO_QUIET", raising=False)
    monkeypatch.setattr(compile_progress, "PARTS", (WHOLE, INNER, LATER, OTHER, CHOSEN))


def _compile(progress: CompileProgress, part: Part, *within: Part) -> None:
    """Go through the events of compiling a part, which compiles others."""
    function = SimpleNamespace(__module__=f"maestro_gym.{part.module}", __qualname__=part.function)
    data = {"dispatcher": SimpleNamespace(py_func=function)}
    progress.notify(Event("numba:compile", EventStatus.START, data))
    for inner in within:
        _compile(progress, inner)
    progress.notify(Event("numba:compile", EventStatus.END, data))


def _keep(part: Part) -> None:
    folder = cache_dir(part.module)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part.function}-7.part-0123456789abcdef.nbc").touch()


def _said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return [line.partition(" (")[0].partition(" s;")[0] for line in err.splitlines()]


def test_every_part_is_told_once_with_its_number_and_at_the_end_how_long_all_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = CompileProgress()
    _compile(progress, WHOLE, INNER)
    _compile(progress, INNER)
    _compile(progress, LATER)
    assert _said(capsys) == [
        "Compiling 1 of 3: whole",
        "Compiling 2 of 3: inner",
        "Compiling 3 of 3: later",
        "Compiled in 0",
    ]


def test_only_what_is_missing_counts(capsys: pytest.CaptureFixture[str]) -> None:
    _keep(INNER)
    progress = CompileProgress()
    _compile(progress, WHOLE)
    _compile(progress, LATER)
    assert _said(capsys) == ["Compiling 1 of 2: whole", "Compiling 2 of 2: later", "Compiled in 0"]


def test_what_is_compiled_beyond_the_announced_number_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    _keep(INNER)
    _keep(LATER)
    _compile(CompileProgress(), WHOLE, INNER)
    assert _said(capsys) == ["Compiling 1 of 1: whole", "Compiled in 0"]


def test_a_part_that_nobody_could_foresee_is_counted_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    progress = CompileProgress()
    _compile(progress, WHOLE)
    _compile(progress, CHOSEN)
    assert _said(capsys) == ["Compiling 1 of 3: whole", "Compiling 2 of 4: chosen"]


def test_what_is_imported_when_all_was_compiled_is_counted_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = CompileProgress()
    for part in (WHOLE, INNER, LATER):
        _compile(progress, part)
    assert len(_said(capsys)) == 4
    monkeypatch.setitem(sys.modules, f"maestro_gym.{OTHER.needed_by}", sys)
    for part in (WHOLE, INNER, LATER):
        _keep(part)
    _compile(progress, WHOLE)
    _compile(progress, OTHER)
    assert _said(capsys) == ["Compiling 1 of 1: other", "Compiled in 0"]


def test_parts_that_another_process_compiles_are_counted_with_those_of_this_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = CompileProgress()
    progress.elsewhere = True
    _compile(progress, WHOLE)
    progress.begin(INNER)
    _compile(progress, LATER)
    assert _said(capsys) == ["Compiling 1 of 3: whole", "Compiling 2 of 3: inner", "Compiling 3 of 3: later"]
    progress.elsewhere = False
    progress.settle()
    progress.settle()
    assert _said(capsys) == ["Compiled in 0"]


def test_what_takes_long_is_said_again_whatever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    progress = CompileProgress()
    small = SimpleNamespace(__module__="maestro_gym.core.hashing", __qualname__="small")
    data = {"dispatcher": SimpleNamespace(py_func=small)}
    progress.notify(Event("numba:compile", EventStatus.START, data))
    began_s = time.perf_counter()
    progress.remind(began_s)
    assert _said(capsys) == []
    progress.remind(began_s + LONGEST_SILENCE_S)
    assert _said(capsys) == ["Still compiling: small ..."]
    progress.notify(Event("numba:compile", EventStatus.END, data))
    progress.remind(began_s + 10 * LONGEST_SILENCE_S)
    assert _said(capsys) == []


def test_functions_that_are_no_part_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    _compile(CompileProgress(), Part("", "core.hashing", "small", ""))
    assert _said(capsys) == []


def test_nothing_is_said_when_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAESTRO_QUIET", "1")
    progress = CompileProgress()
    for part in (WHOLE, INNER, LATER):
        _compile(progress, part)
    assert _said(capsys) == []


FIRST_STEP = """
import gymnasium as gym
gym.make("maestro_gym:Maestro/Cluster-v0").reset(seed=1)
"""


@pytest.mark.slow
def test_a_first_environment_compiles_what_it_announces_and_a_second_checkout_nothing(tmp_path: Path) -> None:
    second = tmp_path / "second"
    for folder in ("maestro_gym", "configs"):
        shutil.copytree(ROOT / folder, second / folder, ignore=shutil.ignore_patterns("__pycache__"))
    told = [
        subprocess.run(
            [sys.executable, "-c", FIRST_STEP],
            env={**os.environ, "MAESTRO_CACHE_DIR": str(tmp_path / "code"), "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            check=True,
        ).stderr.splitlines()
        for checkout in (ROOT, ROOT, second)
    ]
    *lines, last = [line for line in told[0] if not line.startswith("Still compiling: ")]
    needed = {part for part in PARTS if part.needed_by} | {PARTS[0]}
    assert {line.partition(": ")[2] for line in lines} == {f"{part.title} ({part.module}) ..." for part in needed}
    count = len(needed)
    assert [line.partition(":")[0] for line in lines] == [f"Compiling {i} of {count}" for i in range(1, count + 1)]
    assert last.startswith("Compiled in ")
    assert told[1:] == [[], []]
