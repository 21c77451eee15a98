import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_gym.core.ending import has_no_room
from maestro_gym.core.whole_file import whole_file, write_whole

WRITER = """
import os, signal, sys
from pathlib import Path
from maestro_gym.core.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as part:
    with part.open("w") as file:
        file.write("half of the n")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_is_written_and_leaves_no_part(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "Grüße")
    assert (tmp_path / "a.txt").read_bytes() == "Grüße".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_part_has_the_suffix_of_the_file(tmp_path: Path) -> None:
    with whole_file(tmp_path / "plot.png") as part:
        assert part.suffix == ".png"
        part.write_bytes(b"x")


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "old")

    def stopped() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_writer_that_is_killed_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "old")
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", WRITER, str(path)], env=where, check=False, timeout=120)
    assert (tmp_path / "a.part.txt").read_text() == "half of the n"
    assert path.read_text() == "old"


def test_a_link_goes_on_pointing_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_whole(Path(os.devnull), "words")
    assert not Path(os.devnull).is_file()
    with pytest.raises(OSError, match="No space left") as full:
        write_whole(Path("/dev/full"), "words")
    assert has_no_room(full.value)
    assert not has_no_room(OSError(errno.ENOENT, "no such file"))
