import json
from pathlib import Path

import pytest

from maestro_gym.core.run_folder import OWNER_FILE, run_folder
from maestro_gym.core.run_state import FINISHED, RUNNING, UNFINISHED, runs_in, state_of


def _folder(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return place


EVENT = '{"event": "%s", "time_s": 1.0}\n'


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"episodes__sqlite": "", "results__json": "{}"}, FINISHED),
        ({"episodes__sqlite": ""}, UNFINISHED),
        ({"run__json": json.dumps({"state": "finished"})}, FINISHED),
        ({"run__json": json.dumps({"state": "running"}), "progress__csv": ""}, UNFINISHED),
        ({"run__json": json.dumps({"state": "stopped"}), "policy__json": "{}"}, UNFINISHED),
        ({"run__json": "{", "results__json": "{}"}, FINISHED),
        ({"events__jsonl": EVENT % "run" + EVENT % "end"}, FINISHED),
        ({"events__jsonl": EVENT % "run" + EVENT % "finish"}, UNFINISHED),
        ({"events__jsonl": EVENT % "run" + (EVENT % "end")[:-9]}, UNFINISHED),
        ({"results__json": "{}", OWNER_FILE.replace(".", "__"): "{}"}, UNFINISHED),
    ],
)
def test_the_state_is_what_the_files_say(tmp_path: Path, files: dict[str, str], state: str) -> None:
    assert state_of(_folder(tmp_path / "run", **files)) == state


def test_a_run_that_a_process_owns_is_running_whatever_lies_in_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "run", results__json="{}")
    with run_folder(folder, overwrite=True):
        assert state_of(folder) == RUNNING
        assert state_of(folder) == RUNNING, "looking takes nothing from its owner"
    assert state_of(folder) == FINISHED


def test_a_run_inside_a_run_that_is_owned_keeps_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "run", run__json=json.dumps({"state": "finished"}))
    with run_folder(folder / "seed-0"):
        assert state_of(folder) == RUNNING


def test_runs_are_found_at_any_depth_and_links_are_not_followed(tmp_path: Path) -> None:
    _folder(tmp_path / "compare" / "one", results__json="12345")
    _folder(tmp_path / "two", progress__csv="")
    _folder(tmp_path / "mine", notes__txt="not a run")
    (tmp_path / "link").symlink_to(tmp_path / "two")
    found = runs_in(tmp_path)
    assert [run.folder.relative_to(tmp_path).as_posix() for run in found] == ["compare/one", "two"]
    assert [run.state for run in found] == [FINISHED, UNFINISHED]
    assert found[0].size_bytes == 5
    assert runs_in(tmp_path / "nowhere") == []
