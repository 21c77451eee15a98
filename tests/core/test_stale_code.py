import json
import os
import time
from pathlib import Path

import pytest

from maestro_gym.core import stale_code
from maestro_gym.core.code_cache import cache_dir, code_dir
from maestro_gym.core.stale_code import (
    GRACE_S,
    cache_folders,
    note_checkout,
    prune_daily,
    remove_folders,
    stale_folders,
)
from maestro_gym.sim.engine import run_until

OLD = "0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path))
    return tmp_path


def _write(folder: Path, age_s: float = 2 * GRACE_S) -> Path:
    folder.mkdir()
    (folder / "f.nbc").write_bytes(b"code")
    then_s = time.time() - age_s
    os.utime(folder / "f.nbc", (then_s, then_s))
    return folder


def _stale_names() -> set[str]:
    return {folder.path.name for folder in stale_folders(cache_folders())}


def test_code_of_present_sources_stays_however_old_it_is(cache: Path) -> None:
    present = [_write(code_dir(run_until.py_func)), _write(cache_dir("sim.steps")), _write(cache_dir("predictors"))]
    old = [_write(cache / f"sim.steps-{OLD}"), _write(cache / f"predictors-{OLD}"), _write(cache / f"gone.away-{OLD}")]
    note_checkout()
    assert _stale_names() == {folder.name for folder in old}
    remove_folders(stale_folders(cache_folders()))
    assert all(folder.is_dir() for folder in present)
    assert not any(folder.exists() for folder in old)


def test_code_that_was_written_lately_stays(cache: Path) -> None:
    _write(cache / f"sim.steps-{OLD}", age_s=GRACE_S / 2)
    note_checkout()
    assert _stale_names() == set()
    assert len(stale_folders(cache_folders(), older_than_s=GRACE_S / 4)) == 1


def test_code_of_another_checkout_stays_as_long_as_that_is_there(cache: Path, tmp_path: Path) -> None:
    _write(cache / f"sim.steps-{OLD}")
    note_checkout()
    other = tmp_path / "another" / "maestro_gym"
    other.mkdir(parents=True)
    note = cache / "checkouts" / "fedcba9876543210.json"
    note.write_text(json.dumps({"package": str(other), "folders": [f"sim.steps-{OLD}"]}), encoding="utf-8")
    assert _stale_names() == set()
    other.rmdir()
    assert _stale_names() == {f"sim.steps-{OLD}"}
    remove_folders([])
    assert not note.exists()


def test_what_is_no_compiled_code_is_not_looked_at(cache: Path, tmp_path: Path) -> None:
    (cache / "mine").mkdir()
    (cache / f"elsewhere-{OLD}").symlink_to(tmp_path)
    assert cache_folders() == []


def test_pruning_is_done_once_a_day(cache: Path) -> None:
    first = _write(cache / f"sim.steps-{OLD}")
    prune_daily()
    assert not first.exists()
    second = _write(cache / f"sim.steps-{OLD}")
    prune_daily()
    assert second.exists()
    yesterday_s = time.time() - stale_code.EVERY_S - 1.0
    os.utime(cache / ".pruned", (yesterday_s, yesterday_s))
    prune_daily()
    assert not second.exists()
