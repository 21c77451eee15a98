"""What a decision of an agent touches: instructions, bytes of code and of data, and what comes from beyond the caches.

    python benchmarks/bytes_touched.py

Valgrind's cachegrind plays a batch of environments twice, once for a single decision of each and once for as many as
are asked, on one thread with caches of fixed sizes; the difference is divided by the decisions. So start, episodes and
the first placement cancel, and the counts are the same on a busy machine. Every miss moves one line of 64 bytes. A
decision brings those of the companions with it; the choice of a random legal action and a share of the step's Python
are in it too. Valgrind knows no AVX-512: the code is compiled for an older processor, into a cache of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cells
import numpy as np
from machine import machine, machine_line

from maestro_gym.cli.console import show_table
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation

LINE_BYTES = 64
CACHES = ("--I1=32768,8,64", "--D1=49152,12,64", "--LL=2097152,16,64")
"""First level and second level of a server core of 2023; what lies beyond is shared by the cores, or is memory."""

_COUNT = re.compile(r"==\d+==\s+(?P<name>[A-Z]\w*\s+(?:refs|misses)):\s+(?P<count>[\d,]+)")


def _play(environments: int, decisions: int) -> None:
    """The part that is counted."""
    cells.VectorCell(("contention=high",), environments, 1, decisions).measure()


def _count(environments: int, decisions: int, cache: Path, *, counted: bool) -> dict[str, int]:
    """Play in a process of its own, under cachegrind where it is ``counted``; cachegrind's totals."""
    own = [sys.executable, __file__, "--inside", "--environments", str(environments), "--decisions", str(decisions)]
    kept = cache / "cachegrind.out"
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=yes", *CACHES, f"--cachegrind-out-file={kept}"]
    older = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "MAESTRO_CACHE_DIR": str(cache)}
    environment = {**os.environ, **older, "OPENBLAS_NUM_THREADS": "1"}
    words = [*tool, *own] if counted else own
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise MaestroError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-500:]}")
    found = _COUNT.finditer(done.stderr)
    return {" ".join(line["name"].split()): int(line["count"].replace(",", "")) for line in found}


def _state_bytes() -> dict[str, int]:
    """Bytes of the arrays of one environment, by part of its state."""
    scenario = Scenario.load("quick", ("contention=high",))
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("test", cells.SEED, 0), key=cells.SEED)
    state = simulation.state
    parts = {"view": state.visible, "hidden": state.hidden, "of the simulator": state.core}
    return {
        name: sum(array.nbytes for array in part if isinstance(array, np.ndarray) and array.shape[:1] == (1,))
        for name, part in parts.items()
    }


def main() -> None:
    """Count, divide, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environments", type=int, default=16)
    parser.add_argument("--decisions", type=int, default=100, help="of each environment (default 100)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        _play(asked.environments, asked.decisions)
        return
    if shutil.which("valgrind") is None:
        raise MaestroError("valgrind not found: install the package valgrind.")
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        print("compiling for valgrind, about a minute ...", flush=True)
        _count(asked.environments, 1, cache, counted=False)
        totals = []
        for decisions in (1, 1 + asked.decisions):
            print(f"counting {decisions} decisions of each environment, some minutes ...", flush=True)
            totals.append(_count(asked.environments, decisions, cache, counted=True))
    a_decision = {
        name: (totals[1][name] - totals[0][name]) / (asked.environments * asked.decisions) for name in totals[0]
    }
    rows = [
        {"what": "instructions", "a_decision": a_decision["I refs"]},
        {"what": "loads and stores", "a_decision": a_decision["D refs"]},
        {"what": "code from beyond the first level, kB", "a_decision": a_decision["I1 misses"] * LINE_BYTES / 1e3},
        {"what": "data from beyond the first level, kB", "a_decision": a_decision["D1 misses"] * LINE_BYTES / 1e3},
        {"what": "both from beyond the second level, kB", "a_decision": a_decision["LL misses"] * LINE_BYTES / 1e3},
    ]
    show_table("What a decision of the agent touches", rows, machine_line(about, os.getloadavg()[0]))
    parts = [{"part": name, "mb": size / 1e6} for name, size in _state_bytes().items()]
    show_table("State of one environment of quick, high", parts, "")


if __name__ == "__main__":
    try:
        main()
    except MaestroError as error:
        sys.exit(str(error))
