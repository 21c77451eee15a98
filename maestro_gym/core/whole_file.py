"""Files that are written whole or not at all: a reader, a crash and a full disk never leave half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to, and put it in the file's place once it is on the disk.

    Args:
        path: The file; its folder exists. A pipe or a device cannot be replaced, and is written to as it is.

    Yields:
        Where to write: ``NAME.part.SUFFIX``, so that whoever goes by the suffix finds it. It is removed on an error.

    Raises:
        OSError: The disk does not take it; what was there before is still there.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        yield target
        return
    part = target.with_name(f"{target.stem}.part{target.suffix}")
    try:
        yield part
        sync(part)
        part.replace(target)
        sync(target.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all.

    Args:
        path: The file; its folder exists.
        content: Text, which is written as UTF-8, or bytes.

    Raises:
        OSError: The disk does not take it; what was there before is still there.
    """
    with whole_file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # only there can a folder be opened
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
