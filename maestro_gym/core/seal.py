"""Checksums that a JSON file holds, of the files beside it and of itself: any bit that changed is found.

They find damage and not forgery: whoever can change a file can write its checksum.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maestro_gym.core.worker_process import is_worker

FIELD = "sha256"
"""The field that holds the checksums, by file name."""


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(content: Mapping[str, Any], name: str, files: Iterable[Path] = ()) -> dict[str, Any]:
    """Put checksums into the content of a JSON file.

    Args:
        content: What the file is to hold; checksums that it has of other files stay.
        name: Its file name.
        files: Files beside it, as they are on the disk.

    Returns:
        The content with a field ``sha256``: a checksum by file name, and that of all this content by ``name``.
    """
    sums = {**content.get(FIELD, {}), **{path.name: file_sha256(path) for path in files}}
    whole = json.loads(json.dumps({**content, FIELD: {file: value for file, value in sums.items() if file != name}}))
    return {**whole, FIELD: {**whole[FIELD], name: _sha256_of_json(whole)}}


def has_seal(content: Mapping[str, Any], path: Path) -> bool:
    """Hold the content of a JSON file against the checksum of itself that it holds.

    Args:
        content: What the file holds.
        path: The file. Where an older version wrote it, without checksums, a warning names it.

    Returns:
        Whether it holds checksums.

    Raises:
        ValueError: It was changed since it was written.
    """
    sums = content.get(FIELD)
    if not sums:
        if not is_worker():
            words = "holds no SHA-256, because an older version wrote it: whether it was damaged since cannot be told"
            warnings.warn(f"{path} {words}", stacklevel=3)
        return False
    if not isinstance(sums, dict):
        raise ValueError(f"its {FIELD} is no table of checksums")
    others = {**content, FIELD: {file: value for file, value in sums.items() if file != path.name}}
    if sums.get(path.name) != _sha256_of_json(others):
        raise ValueError("its content has another SHA-256 than it says")
    return True


def check_sealed(content: Mapping[str, Any], path: Path) -> None:
    """Hold a file against the checksum that a sealed JSON file has of it.

    Args:
        content: What the JSON file holds, after `has_seal`.
        path: The other file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It was changed since, or is none of those that were written together.
    """
    expected = content[FIELD].get(path.name)
    if expected is None:
        raise ValueError(f"{path.name} is not among the files that were written together")
    if file_sha256(path) != expected:
        raise ValueError(f"the SHA-256 of {path.name} is not {expected[:12]}..., with which it was written")


def _sha256_of_json(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
