"""Parts and entries: what becomes machine code, in how many types, and what processes make of one cache."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from numba import types
from numba.core.event import install_recorder

import maestro_gym.core.hashing  # noqa: F401 - an entry is compiled beside only where its module is imported
from maestro_gym.core import compile_beside
from maestro_gym.core.code_cache import cache_dir
from maestro_gym.core.compile import INTERPRETED, njit, njit_as
from maestro_gym.core.compile_beside import Beside
from maestro_gym.core.compile_progress import PROGRESS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")

SAMPLE = """
from numba.core.event import install_recorder
with install_recorder("numba:compile") as recorder:
    from tests.core.compiled_sample import {names}
    print([each(7) for each in ({names},)], len(recorder.buffer) // 2)
"""


def _python(code: str, cache: Path, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "MAESTRO_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), **more}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _answer(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def _sample(cache: Path, names: str) -> str:
    return _answer(_python(SAMPLE.format(names=names), cache))


@pytest.fixture
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that counts what is compiled: an earlier run of it would have left the code on disk."""
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path))


@pytest.mark.usefixtures("_empty_cache")
def test_what_compiled_code_calls_is_a_part_of_one_type_for_constants_and_small_integers() -> None:
    @njit
    def inner(value: int, flag: bool, more: float = 0.25) -> float:
        return value + more if flag else -value

    @njit_as(types.float64(types.int64, types.int32, types.boolean))
    def outer(value: int, small: int, flag: bool) -> float:
        return inner(value, True) + inner(small, flag, 0.5) + inner(3, False, 1.0)

    assert outer(10, 20, True) == (10 + 0.25) + (20 + 0.5) - 3
    parts: Any = inner
    assert list(parts.parts) == [((types.int64, types.boolean, types.float64), None)]
    assert not parts.overloads


def test_functions_of_one_name_in_one_place_are_not_taken_for_each_other() -> None:
    made = []
    for body in ("value + 1", "value + 2"):
        scope: dict[str, Any] = {"__name__": __name__}
        exec(compile(f"def generated(value):\n    return {body}", __file__, "exec"), scope)
        made.append(njit(scope["generated"]))
    first, second = made

    @njit
    def caller(value: int) -> int:
        return first(value) + 10 * second(value)

    assert caller(0) == 21


def test_a_part_can_be_called_from_python_too_and_by_code_that_is_not_of_the_project() -> None:
    import numba

    @njit
    def inner(value: int) -> int:
        return value + 1

    @njit
    def middle(value: int) -> int:
        return 2 * inner(value)

    @numba.njit
    def foreign(value: int) -> int:
        return middle(value) + 5

    assert foreign(1) == 9
    assert middle(1) == 4
    assert middle(np.float64(0.5)) == 3.0


@pytest.mark.usefixtures("_empty_cache")
def test_an_entry_is_compiled_when_it_is_called_and_only_for_its_own_types() -> None:
    @njit_as(types.int64(types.int64))
    def entry(value: int) -> int:
        return value * 2

    dispatcher: Any = entry
    with install_recorder("numba:compile") as recorder:
        assert not dispatcher.overloads
        assert entry(4) == 8
        assert entry(True) == 2
    assert len(recorder.buffer) == 2
    assert list(dispatcher.overloads) == [(types.int64,)]


def test_threads_may_make_the_first_call_at_once() -> None:
    @njit_as(types.int64(types.int64))
    def entry(value: int) -> int:
        return value * 3

    start = Barrier(8)

    def call(value: int) -> int:
        start.wait()
        return entry(value)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [3 * value for value in range(8)]


def test_parts_are_found_by_the_entries_of_other_processes(tmp_path: Path) -> None:
    assert _sample(tmp_path, "entry") == "[37.0] 3\n"
    assert _sample(tmp_path, "entry") == "[37.0] 0\n"
    # Its two parts come from disk.
    assert _sample(tmp_path, "other_entry") == "[0.5] 1\n"
    assert _sample(tmp_path, "entry, other_entry") == "[37.0, 0.5] 0\n"


def test_parts_that_take_records_link_whichever_process_compiled_each(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    met_others_first = """
import numpy as np
from numba import from_dtype
kept = [from_dtype(np.dtype([(f"field_{i}", np.int64)], align=True)) for i in range(3)]
"""
    assert _sample(mine, "of_pair") == "[15.0] 3\n"
    assert _answer(_python(met_others_first + SAMPLE.format(names="of_pair"), theirs)) == "[15.0] 3\n"
    # As when both compile the same at once, and each writes last of one part.
    for path in theirs.rglob("*total*"):
        path.replace(mine / path.relative_to(theirs))
    for path in mine.rglob("*_first_doubled*"):
        path.unlink()
    assert _sample(mine, "of_pair") == "[15.0] 1\n"


def test_processes_that_begin_at_once_leave_a_cache_that_all_can_use(tmp_path: Path) -> None:
    names = ("entry", "other_entry", "entry", "other_entry")
    running = [_python(SAMPLE.format(names=name), tmp_path) for name in names]
    answers = [_answer(process).split()[0] for process in running]
    assert answers == ["[37.0]", "[0.5]"] * 2
    assert _sample(tmp_path, "entry, other_entry") == "[37.0, 0.5] 0\n"
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".nbc"]


def test_a_damaged_or_missing_file_is_compiled_anew_and_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "code"
    _sample(cache, "entry")
    whole, *parts = sorted(cache.rglob("*.nbc"), key=lambda file: ".part-" in file.name)
    whole.write_bytes(whole.read_bytes()[:-100])
    parts[0].unlink()
    assert _sample(cache, "entry").split()[0] == "[37.0]"
    assert _sample(cache, "entry") == "[37.0] 0\n"
    (tmp_path / "a file").touch()
    assert _sample(tmp_path / "a file", "entry") == "[37.0] 3\n"


class _Entry:
    """Stands for a dispatcher: only its function's name is read."""

    def __init__(self, module: str, name: str) -> None:
        self.py_func = type("function", (), {"__module__": f"maestro_gym.{module}", "__qualname__": name})


@pytest.fixture
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_beside, "usable_cores", lambda: 2)
    monkeypatch.setattr(compile_beside.multiprocessing, "parent_process", lambda: None)
    monkeypatch.setattr(PROGRESS, "elsewhere", False)


@pytest.mark.usefixtures("_empty_cache", "_two_cores")
def test_a_process_beside_that_dies_is_waited_for_and_no_longer_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # It cannot find this function, and ends.
    monkeypatch.setattr(compile_beside, "ENTRIES", (("core.hashing", "no_such_function"),))
    beside, large, small = Beside(), _Entry("core.hashing", "no_such_function"), _Entry("core.hashing", "mix")
    beside.before(small)  # pyright: ignore[reportArgumentType]
    assert PROGRESS.elsewhere
    beside.before(large)  # pyright: ignore[reportArgumentType]
    assert not PROGRESS.elsewhere
    beside.before(large)  # pyright: ignore[reportArgumentType]


@pytest.mark.usefixtures("_empty_cache", "_two_cores")
@pytest.mark.parametrize("why", ["one core", "a worker", "kept", "itself wanted"])
def test_no_process_is_started_where_it_would_not_help(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_beside, "ENTRIES", (("core.hashing", "large"),))
    monkeypatch.setattr(compile_beside.subprocess, "Popen", lambda *_, **__: pytest.fail("it was started"))
    wanted = "small"
    if why == "one core":
        monkeypatch.setattr(compile_beside, "usable_cores", lambda: 1)
    elif why == "a worker":
        monkeypatch.setattr(compile_beside.multiprocessing, "parent_process", lambda: object())
    elif why == "kept":
        folder = cache_dir("core.hashing")
        folder.mkdir(parents=True)
        (folder / "large-7.entry-0123456789abcdef.nbc").touch()
    else:
        wanted = "large"
    Beside().before(_Entry("core.hashing", wanted))  # pyright: ignore[reportArgumentType]


FIRST_STEP = """
import sys
import threading
import gymnasium as gym
from maestro_gym.core.compile_beside import BESIDE
def die():
    while BESIDE._process is None:
        pass
    BESIDE._process.{how}()
if {how!r} != "poll":
    threading.Thread(target=die, daemon=True).start()
env = gym.make("maestro_gym:Maestro/Cluster-v0")
_, info = env.reset(seed=1)
env.step(int(info["action_mask"].argmax()))
print("stepped", BESIDE._asked)
"""


@pytest.mark.slow
def test_an_environment_starts_when_the_process_beside_it_is_killed(tmp_path: Path) -> None:
    assert _answer(_python(FIRST_STEP.format(how="kill"), tmp_path)) == "stepped True\n"


@pytest.mark.slow
def test_an_interrupt_while_compiling_ends_both_processes_and_leaves_a_cache_that_can_be_used(tmp_path: Path) -> None:
    process = _python(FIRST_STEP.format(how="poll"), tmp_path, MAESTRO_QUIET="0")
    assert process.stderr is not None
    while "environment" not in process.stderr.readline():  # the other process is at work
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err.splitlines()[-1]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of the group is left
    assert _answer(_python(FIRST_STEP.format(how="poll"), tmp_path)).startswith("stepped")
