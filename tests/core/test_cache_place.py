"""The cache holds machine code: it lies where nobody else can write, or in a private folder for a while."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_gym.core.cache_place import VARIABLE, cache_root, is_own, refused
from maestro_gym.core.code_cache import CodeCache

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders have other permissions here")


def _asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(folder))
    return cache_root()


def test_a_folder_of_ones_own_is_made_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / "new" / "cache"
    assert _asked(wanted, monkeypatch) == wanted
    assert wanted.stat().st_mode & 0o077 == 0
    assert refused() is None


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    wanted = tmp_path / "open"
    wanted.mkdir()
    wanted.chmod(mode)
    instead = _asked(wanted, monkeypatch)
    assert instead != wanted
    assert instead.stat().st_mode & 0o077 == 0
    found = refused()
    assert found is not None
    assert found.folder == wanted
    assert "can be written by others" in found.fault
    assert os.environ[VARIABLE] == str(instead)


def test_a_folder_below_one_that_others_can_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    above = tmp_path / "above"
    (above / "own").mkdir(parents=True)
    above.chmod(0o777)
    _asked(above / "own", monkeypatch)
    found = refused()
    assert found is not None
    assert f"lies in {above}, which can be written by others" in found.fault


def test_the_sticky_bit_keeps_a_folder_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    above = tmp_path / "like_tmp"
    above.mkdir()
    above.chmod(0o1777)
    assert _asked(above / "own", monkeypatch) == above / "own"


def test_what_leads_into_a_folder_that_others_can_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    _asked(tmp_path / "link", monkeypatch)
    assert refused() is not None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / "theirs"
    wanted.mkdir()
    os.chown(wanted, 12345, -1)
    _asked(wanted, monkeypatch)
    found = refused()
    assert found is not None
    assert "belongs to another user (12345)" in found.fault


def test_a_place_that_cannot_be_written_is_named_once_and_another_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    wanted = tmp_path / "file" / "cache"
    code = "from maestro_gym.core import hashing; from maestro_gym.core.cache_place import cache_root as root;"
    code += "print(root()); assert root().is_dir()"
    environment = {**os.environ, VARIABLE: str(wanted), "PYTHONPATH": str(ROOT), "MAESTRO_QUIET": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert str(wanted) in line
    assert VARIABLE in line
    assert not Path(done.stdout.strip()).exists()  # it has ended with its process


def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[CodeCache, Path]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "code"))
    cache = CodeCache(_sample)
    file = cache.cache_path / "sample.nbc"
    cache._save(file, ["machine code"] * 100)
    assert cache._load(file) == ["machine code"] * 100
    return cache, file


def _sample() -> None:
    """Stands for a compiled function."""


def test_a_file_cut_short_or_changed_is_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, file = _kept(tmp_path, monkeypatch)
    whole = file.read_bytes()
    for content in (b"", whole[:10], whole[:-1], whole[:-1] + b"?", whole[32:]):
        file.write_bytes(content)
        assert cache._load(file) is None


def test_a_file_that_others_can_have_written_is_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, file = _kept(tmp_path, monkeypatch)
    file.chmod(0o666)
    assert not is_own(file.stat())
    assert cache._load(file) is None


def test_a_cache_without_room_says_so_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, file = _kept(tmp_path, monkeypatch)
    monkeypatch.setenv("MAESTRO_QUIET", "0")
    file.parent.rename(tmp_path / "gone")
    file.parent.write_text("in the way")
    cache._save(file, "code")
    cache._save(file, "code")
    assert capsys.readouterr().err.count("takes no more") == 1
