"""The folder of a run: one process owns it, and two runs never mix in it.

Whoever writes a run opens its folder here first. What is not allowed is refused before anything is written.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from maestro_gym.core.ending import go_on_by
from maestro_gym.core.errors import MaestroError

OWNER_FILE = ".owner"
"""Says which process writes into the folder; locked while that process lives; a kill leaves it behind, unlocked."""

LEFT_BEHIND = (
    *("results.parquet", "results.csv", "results.json", "workflows.parquet", "report.html", "plots", "config-*.yaml"),
    *("episodes.sqlite*", "study.json", "fits"),
    *("run.json", "policy.json", "policy.pt", "policy.safetensors", "policy.onnx", "policy.yaml", "last"),
    *("checkpoint", "checkpoint.*", "search.json", "seed-*", ".token", "tensorboard", "wandb", "learning_curves.png"),
    *("progress.csv", "evaluations.csv", "episodes.csv", "rollouts.csv"),
    *("events.jsonl", "live.json", "live-*", "validation.*", "uncalibrated.yaml", "simulated.yaml", "episodes"),
    *("reproduce.md", "reproduce.html", "reproduce.json", "parts"),
    *("explanation.md", "explanation.png", "*.part", "*.part.*"),
    *("study.sqlite*", "trials", "trials.csv", "best.yaml", "plots.html"),
    *("archive.jsonl", "programs", "found.py", "reference-*.json"),
)
"""What the verbs leave in their folders, as patterns; configurations are written anew by each run, and not named."""


@contextmanager
def run_folder(
    folder: Path, *, resume: bool = False, overwrite: bool = False, go_on: str = "", left: tuple[str, ...] = LEFT_BEHIND
) -> Iterator[Path]:
    """Own the folder of a run as long as it is written.

    Args:
        folder: The folder; it is made.
        resume: Whether the run that it holds goes on.
        overwrite: Whether the run that it holds may be removed; `clear_earlier` does it, once nothing can be refused.
        go_on: The command that goes on with this run when it is ended early; empty when there is none.
        left: Patterns of what an earlier run has left there.

    Yields:
        The folder.

    Raises:
        MaestroError: It cannot be made, another process owns it, or it holds an earlier run.
    """
    if resume and overwrite:
        raise MaestroError("--resume goes on with the run in the folder, --overwrite removes it; give one of them.")
    may_hold_one = resume or overwrite
    if not (may_hold_one or (folder / OWNER_FILE).exists()):
        _refuse_earlier(folder, left, go_on)
    with _tidy(folder), _owned(folder):
        if not may_hold_one:
            _refuse_earlier(folder, left, go_on)
        with go_on_by(go_on) if go_on else nullcontext():
            yield folder


def clear_earlier(folder: Path, left: tuple[str, ...] = LEFT_BEHIND) -> None:
    """Remove what an earlier run has left in a folder, and nothing else.

    Args:
        folder: A folder that `run_folder` has opened.
        left: Patterns of what is removed.
    """
    for path in _earlier(folder, left):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _tidy(folder: Path) -> Iterator[None]:
    """Leave no folder behind in which an error let nothing begin."""
    is_new = not folder.exists()
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if is_new:
                folder.rmdir()  # which refuses where anything has begun
        raise


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / OWNER_FILE, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MaestroError(
            f"{folder} is being written by {_owner(folder)}. Wait for it, end it, or name another folder."
        ) from None
    except OSError as error:
        raise MaestroError(
            f"The run folder {folder} cannot be made or written ({error.strerror}); name another by --out."
        ) from error
    try:
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(" ", "seconds")}
        (folder / OWNER_FILE).write_text(json.dumps(about) + "\n", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            (folder / OWNER_FILE).unlink()
        lock.release()


def _owner(folder: Path) -> str:
    try:
        about = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))
        return f"process {about['pid']} on {about['host']}, since {about['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"


def _earlier(folder: Path, left: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in left for path in folder.glob(pattern)})


def _refuse_earlier(folder: Path, left: tuple[str, ...], go_on: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise MaestroError(f"The run folder {folder} cannot be made: a file has this name; name another by --out.")
    found = [path.name for path in _earlier(folder, left)]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        way = f"Go on with it by {go_on}, name" if go_on else "Name"
        raise MaestroError(
            f"{folder} holds an earlier run ({', '.join(found[:3])}{more}). {way} another folder by --out, or put the "
            "new run in its place by --overwrite."
        )
