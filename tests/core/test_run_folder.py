import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maestro_gym.core.ending import notes_of
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import OWNER_FILE, clear_earlier, run_folder

HOLDER = """
import sys, time
from pathlib import Path
from maestro_gym.core.run_folder import run_folder
with run_folder(Path(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(600)
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(words, env=where, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_the_second_process_is_told_who_writes_and_writes_nothing(tmp_path: Path) -> None:
    holder = _holder(tmp_path)
    try:
        before = (tmp_path / OWNER_FILE).read_bytes()
        said = rf"process {holder.pid} on \S+, since 20"
        for asked in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(MaestroError, match=said), run_folder(tmp_path, **asked):
                pass
        assert (tmp_path / OWNER_FILE).read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == [OWNER_FILE]
    finally:
        holder.kill()
        holder.wait()


def test_a_killed_owner_owns_nothing(tmp_path: Path) -> None:
    holder = _holder(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with run_folder(tmp_path):
        assert json.loads((tmp_path / OWNER_FILE).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_owned_once_also_within_a_process(tmp_path: Path) -> None:
    with run_folder(tmp_path):
        with pytest.raises(MaestroError, match=f"process {os.getpid()} on"), run_folder(tmp_path):
            pass
        assert (tmp_path / OWNER_FILE).exists()


@pytest.mark.parametrize("name", ["results.csv", "policy.json", "search.json", "events.jsonl", "checkpoint.part"])
def test_an_earlier_run_is_refused_gone_on_with_or_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of an earlier run")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("my own")
    before = sorted(path.name for path in tmp_path.iterdir())
    words = r"holds an earlier run \(.*Go on with it by maestro-gym VERB --resume.*--overwrite"
    with pytest.raises(MaestroError, match=words), run_folder(tmp_path, go_on="maestro-gym VERB --resume"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with run_folder(tmp_path, resume=True):
        assert (tmp_path / name).read_text() == "of an earlier run"
    with run_folder(tmp_path, overwrite=True):
        assert (tmp_path / name).exists(), "nothing is removed until nothing can be refused"
        clear_earlier(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_resume_and_overwrite_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="give one of them"), run_folder(tmp_path, resume=True, overwrite=True):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MaestroError, match="a file has this name"), run_folder(tmp_path / "file"):
        pass


def test_a_run_in_which_nothing_began_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_folder(tmp_path / "new"):
        raise ZeroDivisionError
    assert not (tmp_path / "new").exists()


def test_whatever_ends_a_run_early_tells_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as ended, run_folder(tmp_path, go_on="maestro-gym VERB --resume DIR"):
        raise KeyboardInterrupt
    assert notes_of(ended.value) == ["go on with: maestro-gym VERB --resume DIR"]


def test_what_the_verbs_leave_is_known_here() -> None:
    """A file that a verb begins to write under another name would be mixed with those of the next run."""
    from maestro_gym.agents.checkpoint import FOLDER
    from maestro_gym.agents.policy_file import CARD_FILE, WEIGHTS_FILE
    from maestro_gym.agents.run_folder import RUN_FILE
    from maestro_gym.agents.search.search import STATE_FILE
    from maestro_gym.core.run_folder import LEFT_BEHIND
    from maestro_gym.evaluation.episode_store import STORE_FILE

    patterns = [re.compile(pattern.replace(".", r"\.").replace("*", ".*")) for pattern in LEFT_BEHIND]
    for name in (FOLDER, CARD_FILE, WEIGHTS_FILE, RUN_FILE, STATE_FILE, STORE_FILE):
        assert any(pattern.fullmatch(name) for pattern in patterns), name


def test_owners_follow_one_another(tmp_path: Path) -> None:
    """Twenty processes want one folder at the same time: one at a time has it, and all get it in turn."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom maestro_gym.core.errors import MaestroError\n"
        "from maestro_gym.core.run_folder import run_folder\nfolder = Path(sys.argv[1])\n"
        "while True:\n"
        "    try:\n"
        "        with run_folder(folder):\n"
        "            mark = folder / 'mark'\n"
        "            mark.touch(exist_ok=False)\n"
        "            time.sleep(0.002)\n"
        "            mark.unlink()\n"
        "            break\n"
        "    except MaestroError:\n"
        "        time.sleep(0.001)\n"
    )
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(words, env=where, stderr=subprocess.PIPE) for _ in range(20)]
    deadline = time.monotonic() + 240
    for process in processes:
        _, said = process.communicate(timeout=max(1.0, deadline - time.monotonic()))
        assert process.returncode == 0, said.decode()
    assert list(tmp_path.iterdir()) == []
