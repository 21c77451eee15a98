"""What a run must say of itself to be repeated: command, versions, commit, machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import maestro_gym
from maestro_gym.core.threads import usable_cores

_PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "pandas",
    "pydantic",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "cma",
)


def versions() -> dict[str, str]:
    """Versions of the project, of Python and of the packages that results depend on."""
    found = {"maestro-gym": maestro_gym.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit that the project's source stands at, with ``+`` where files differ; empty outside a checkout."""
    root = Path(maestro_gym.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *words: str) -> str:
    answer = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
    return answer.stdout.strip()


def machine() -> str:
    """Operating system, processor family and usable cores, in words."""
    return f"{platform.system()} {platform.machine()}, {usable_cores()} cores"


def command_line() -> str:
    """The command that started this process, ready to be pasted."""
    return shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])


def resumed_command(folder: Path) -> str:
    """The command that goes on with what this process does in a folder, by its own words with ``--resume``.

    Args:
        folder: The run folder.
    """
    program, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    if not program.startswith("maestro-gym"):
        return f"resume=True and the folder {folder}"
    for option in ("--out", "-o"):
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    kept = [word for word in words if word not in ("--resume", "--overwrite") and not word.startswith("--out=")]
    return shlex.join([program, *kept, "--out", str(folder), "--resume"])


def now_utc() -> str:
    """The moment, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
