"""A second process that compiles the engine while this one compiles the rest.

Run as ``python -m maestro_gym.core.compile_beside MODULE FUNCTION``, it compiles one entry into the cache and prints
the parts that it begins. numba compiles one function at a time in a process, and the engine is half of the work. It is
started when something is missing in the cache, never waited for unless its entry is asked for, and never needed: if it
dies, its entry is compiled here. Processes know of each other only by whole files of the cache.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numba.core.event import Event, Listener, register

from maestro_gym.core.code_cache import is_kept
from maestro_gym.core.compile_progress import PARTS, PROGRESS, part_of
from maestro_gym.core.threads import usable_cores

if TYPE_CHECKING:
    from maestro_gym.core.dispatcher import Dispatcher

ENTRIES = (("envs.batch.kernel", "step_one"), ("sim.engine", "run_until"))
"""The large entries; the first whose module is imported is compiled beside."""

_IN_HELPER = "MAESTRO_COMPILING_BESIDE"
_PATIENCE_S = 5.0
_ROOT = Path(__file__).parents[2]


class Beside:
    """The other process of this one: at most one, started at most once."""

    def __init__(self) -> None:
        """Nothing runs."""
        self._asked = False
        self._entry = ("", "")
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def before(self, dispatcher: Dispatcher) -> None:
        """An entry is missing and about to be compiled here: begin another beside it, or wait for this very one.

        Args:
            dispatcher: Of the entry.
        """
        function: Any = dispatcher.py_func
        wanted = (function.__module__.removeprefix("maestro_gym."), function.__qualname__)
        if not self._asked and wanted not in ENTRIES:
            self._start()
        if self._process is not None and wanted == self._entry:
            self._wait()

    def _start(self) -> None:
        entry = next((entry for entry in ENTRIES if f"maestro_gym.{entry[0]}" in sys.modules), None)
        if entry is None:
            return
        self._asked = True
        a_helper = os.environ.get(_IN_HELPER) or multiprocessing.parent_process() is not None
        if a_helper or not sys.executable or usable_cores() < 2 or is_kept(*entry, kind="entry"):
            return
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, _IN_HELPER: "1", "MAESTRO_QUIET": "1", "PYTHONPATH": os.pathsep.join(paths)}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, *entry],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            return  # no memory, no more processes: compiled here
        self._entry = entry
        PROGRESS.elsewhere = True
        atexit.register(self.stop)
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="compile-beside", daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Tell of the parts that the other process begins, until it ends."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                for part in PARTS:
                    if f"{part.module} {part.function}" == line.strip():
                        PROGRESS.begin(part)
        process.wait()
        PROGRESS.elsewhere = False
        PROGRESS.settle()

    def _wait(self) -> None:
        assert self._reader is not None
        try:
            self._reader.join()
        except BaseException:
            self.stop()  # Ctrl-C: nobody will use what it makes
            raise
        self._process = None

    def stop(self) -> None:
        """End the other process; half-written files are never read."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


BESIDE = Beside()
"""The other process of this one."""


class _Relay(Listener):
    """Prints the parts that begin, for the process that waits."""

    def on_start(self, event: Event) -> None:
        about: Any = event.data
        part = part_of(about["dispatcher"].py_func)
        if part is not None:
            print(part.module, part.function, flush=True)

    def on_end(self, event: Event) -> None:
        """Nothing is said of the end."""


def main(module: str, function: str) -> None:
    """Compile an entry into the cache.

    Args:
        module: Without ``maestro_gym.``.
        function: Its name.
    """
    register("numba:compile", _Relay())
    dispatcher = getattr(importlib.import_module(f"maestro_gym.{module}"), function)
    dispatcher.compile(dispatcher.fixed)


if __name__ == "__main__":
    main(*sys.argv[1:])
