"""Whether this machine is ready: its versions, cores, threading and caches, and a small run of the engine."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maestro_gym import __version__
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import thread_count, usable_cores
from maestro_gym.state import STAGE_FINISHED, STAGE_FUTURE, STAGE_GAP

if TYPE_CHECKING:
    from maestro_gym.core.run_state import Run
    from maestro_gym.core.stale_code import CacheFolder
    from maestro_gym.episodes.result import EpisodeResult

PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "pydantic",
)
SELF_TEST_HORIZON_S = 60.0


def examine() -> list[dict[str, str]]:
    """Look at this machine and run the engine's self-test.

    Returns:
        One row per check: ``check``, ``state`` (``ok``, ``note`` or ``failed``) and ``detail``.
    """
    return [*_machine(), *_packages(), *_compiler(), *_space(), *_self_test()]


def _row(check: str, detail: str, state: str = "ok") -> dict[str, str]:
    return {"check": check, "state": state, "detail": detail}


def _machine() -> list[dict[str, str]]:
    allowed = usable_cores()
    old = sys.version_info < (3, 11)
    return [
        _row("maestro-gym", __version__),
        _row("python", platform.python_version(), "failed" if old else "ok"),
        _row("system", f"{platform.system()} {platform.machine()}"),
        _row("cores", f"{allowed} of {os.cpu_count()} usable by this process"),
    ]


def _packages() -> list[dict[str, str]]:
    rows = []
    for name in PACKAGES:
        try:
            rows.append(_row(name, version(name)))
        except PackageNotFoundError:
            rows.append(_row(name, "missing; install with pip install -e . -c constraints.txt", "failed"))
    return rows


def _compiler() -> list[dict[str, str]]:
    from maestro_gym.core.cache_place import VARIABLE, cache_root, refused

    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return [_row("compiler", "NUMBA_DISABLE_JIT is set: everything runs interpreted, slowly", "note")]
    rows = [_row("threads of large batches", str(thread_count()))]
    refusal = refused()
    if refusal is None:
        rows.append(_row("cache folder", str(cache_root())))
    else:
        fault = f"{refusal.folder} {refusal.fault}; name a folder of your own by {VARIABLE}"
        rows.append(_row("cache folder", fault, "failed"))
    for package in ("workloads", "sim", "baselines", "envs"):
        files = list(cache_root().glob(f"{package}.*/*.nbc"))
        size_mb = sum(file.stat().st_size for file in files) / 1e6
        empty = "empty: the first run compiles, and takes longer"
        rows.append(_row(f"compiled {package}", f"{len(files)} functions, {size_mb:.1f} MB" if files else empty))
    return rows


def _space() -> list[dict[str, str]]:
    """What caches and runs take on the disk; `maestro-gym clean` says of what."""
    from maestro_gym.core.run_state import UNFINISHED, runs_in
    from maestro_gym.core.stale_code import cache_folders, note_checkout, stale_folders

    with suppress(OSError):  # a cache that cannot be written is told of above
        note_checkout()
    folders = cache_folders()
    stale, runs = stale_folders(folders), runs_in(Path("runs"))
    unfinished = [run for run in runs if run.state == UNFINISHED]
    return [
        _row("cache on disk", f"{_mb(folders)}, of which {_mb(stale)} old code that `maestro-gym clean --yes` removes"),
        _row("runs on disk", f"{_mb(runs)} in {len(runs)} runs in ./runs, of which {len(unfinished)} are unfinished"),
    ]


def _mb(things: Sequence[CacheFolder | Run]) -> str:
    return f"{sum(thing.size_bytes for thing in things) / 1e6:,.1f} MB"


def _self_test() -> list[dict[str, str]]:
    """Run a short episode twice under Maestro, and check that nothing is lost and that both results are equal."""
    from maestro_gym.baselines.registry import load_policy
    from maestro_gym.episodes.run import run_episode
    from maestro_gym.episodes.scenario import Scenario

    began_s = time.perf_counter()
    try:
        scenario = Scenario.load("quick", [f"horizon_s={SELF_TEST_HORIZON_S}"])
        policy = load_policy("maestro", scenario)
        first = run_episode(scenario, policy, split="validation", seed=0, index=0)
        warm_s = time.perf_counter()
        second = run_episode(scenario, policy, split="validation", seed=0, index=0)
    except MaestroError as error:
        return [_row("engine self-test", str(error), "failed")]
    ended_s = time.perf_counter()
    detail = f"{ended_s - warm_s:.2f} s warm, {warm_s - began_s:.1f} s with compiling or loading the cache"
    rows = [_row("engine self-test", f"{int(first.counters['arrived'])} workflows; {detail}")]
    for check, holds in _self_test_checks(first, second).items():
        rows.append(_row(check, "holds" if holds else "broken: please report it with this table", _state(holds)))
    return rows


def _self_test_checks(first: EpisodeResult, second: EpisodeResult) -> dict[str, bool]:
    """Check what must be true of two runs of the same episode."""
    counters, workflows, stages, samples = first.counters, first.workflows, first.stages, first.samples
    arrived, finished = np.isfinite(workflows["arrival_s"]), np.isfinite(workflows["finished_s"])
    known = (stages["phase"] != STAGE_FUTURE) & (stages["phase"] != STAGE_GAP)
    return {
        "nothing lost": bool(
            counters["arrived"] == arrived.sum()
            and counters["finished"] == finished.sum()
            and not (finished & ~arrived).any()
            and counters["stages_finished"] == (stages["phase"] == STAGE_FINISHED).sum()
            and not (finished[stages["workflow"][known]] & (stages["phase"][known] != STAGE_FINISHED)).any()
        ),
        "memory within bounds": bool(
            (samples["kv_reserved_bytes"] >= 0).all()
            and (samples["kv_used_bytes"] >= 0).all()
            and (samples["kv_reserved_bytes"] <= samples["kv_pool_bytes"] + 1.0).all()
        ),
        "same seed, same result": bool(
            first.counters == second.counters
            and np.array_equal(workflows["finished_s"], second.workflows["finished_s"])
        ),
    }


def _state(holds: bool) -> str:
    return "ok" if holds else "failed"
