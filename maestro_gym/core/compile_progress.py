"""Says on stderr which big part of the simulator is being compiled, of how many: "Compiling 3 of 11: ...".

numba tells a listener of every function that it compiles, and of none that it reads from disk; the process beside this
one (`compile_beside`) tells of its own. `PARTS` names the few of them that take long, so what is cached is neither
counted nor said. What takes long all the same is said after some seconds by its name. On a terminal it is one line
that changes; in a pipe or a log, a line each. MAESTRO_QUIET=1 keeps it silent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from numba.core.event import Event, Listener, register

from maestro_gym.core.cache_place import cache_root, refused
from maestro_gym.core.code_cache import is_kept

if TYPE_CHECKING:
    from rich.status import Status

LONGEST_SILENCE_S = 2.5
"""After which it is said again that, and what, is being compiled."""


class Part(NamedTuple):
    """A function that takes long to compile, and which processes compile it.

    Attributes:
        title: What it is, for the reader.
        module: Its module, without ``maestro_gym.``.
        function: Its name; of closures, the name of the function that makes them.
        needed_by: The module whose processes need it: it is compiled once that module is imported. Empty where that
            depends on more: it is counted when it begins.
    """

    title: str
    module: str
    function: str
    needed_by: str = ""


PARTS = (
    Part("workload", "workloads.applications.generator", "generate"),
    Part("workload of state machines", "workloads.machines.machine_generator", "generate_machines"),
    Part("engine", "sim.engine", "advance", "sim.engine"),
    Part("decisions that fall due", "sim.decisions", "due_decision", "sim.engine"),
    Part("steps of a node", "sim.steps", "plan_node", "sim.engine"),
    Part("memory that gives way", "sim.reclaim", "make_room", "sim.engine"),
    Part("events", "sim.events", "handle_events", "sim.engine"),
    Part("actions", "sim.engine", "act", "sim.engine"),
    Part("environment", "envs.batch.kernel", "step_one", "envs"),
    Part("observation", "envs.observation.observe", "observe", "envs"),
    Part("first placement", "sim.placement", "start_running", "sim.engine"),
    Part("global rule", "baselines.build", "global_rule", "sim.engine"),
    Part("cluster rule", "baselines.build", "cluster_rule", "sim.engine"),
    Part("node rule", "baselines.build", "_node_rule", "sim.engine"),
    Part("reclaim rule", "baselines.build_reclaim", "reclaim_rule", "sim.engine"),
)
"""What takes half a second or more. Of a second policy's rules only those are told that take long."""


def part_of(function: Any) -> Part | None:  # noqa: ANN401 - a function of anyone's
    """The part that begins when a function is compiled, None for all the small ones."""
    name = f"{function.__module__}.{function.__qualname__.partition('.<locals>')[0]}"
    return next((part for part in PARTS if name == f"maestro_gym.{part.module}.{part.function}"), None)


def missing_parts() -> list[Part]:
    """The parts that this process surely needs, by what it has imported, and that are not on disk."""
    return [
        part
        for part in PARTS
        if part.needed_by and f"maestro_gym.{part.needed_by}" in sys.modules and not is_kept(part.module, part.function)
    ]


class CompileProgress(Listener):
    """Tells of each part once a process: of those that numba compiles here, and of those that `begin` is told of.

    Attributes:
        elsewhere: Whether another process compiles for this one.
    """

    def __init__(self) -> None:
        """Nothing has been told."""
        self.elsewhere = False
        self._told: set[Part] = set()
        self._plan: set[Part] = set()
        self._done: set[Part] = set()
        self._depth = 0
        self._names: list[str] = []
        self._last = "engine"
        self._begin_s = self._said_s = 0.0
        self._status: Status | None = None
        self._lock = threading.RLock()
        self._watcher: threading.Thread | None = None

    def on_start(self, event: Event) -> None:
        """A function begins to be compiled, perhaps within another.

        Args:
            event: Of kind ``numba:compile``.
        """
        about: Any = event.data
        function = about["dispatcher"].py_func
        part = part_of(function)
        with self._lock:
            self._depth += 1
            self._names.append(part.title if part is not None else function.__qualname__.partition(".<locals>")[0])
            if self._depth == 1 and not self.elsewhere:
                self._said_s = time.perf_counter()
            if part is not None:
                self.begin(part)
        self._watch()

    def begin(self, part: Part) -> None:
        """A part begins to be compiled, here or in the process beside this one."""
        with self._lock:
            if part in self._told or part in self._done:
                return
            if not self._plan:
                self._begin_s = time.perf_counter()
                self._plan = set(missing_parts()) - self._done
            elif part not in self._plan and part.needed_by:
                return  # on disk for other types, or under another policy: not counted
            self._plan.add(part)
            self._told.add(part)
            self._last = part.title
            self._show(f"Compiling {len(self._told)} of {len(self._plan)}: {part.title} ({part.module}) ...")

    def on_end(self, event: Event) -> None:
        """It is compiled, or failed to.

        Args:
            event: Of kind ``numba:compile``.
        """
        with self._lock:
            self._depth -= 1
            self._names.pop()
        self.settle()

    def settle(self) -> None:
        """Say how long all took, when all is done."""
        with self._lock:
            if self._depth > 0 or self.elsewhere:
                return
            if self._status is not None:
                self._status.stop()
                self._status = None
            if self._plan and self._plan <= self._told:
                # What is imported later is counted anew.
                self._done |= self._told
                self._told, self._plan = set(), set()
                seconds = time.perf_counter() - self._begin_s
                found = f"; the next run finds it in {cache_root()}" if refused() is None else ""
                _print(f"Compiled in {seconds:.0f} s{found}.")

    def remind(self, now_s: float) -> None:
        """Say what is being compiled when nothing was said for long.

        Args:
            now_s: Of ``time.perf_counter``.
        """
        with self._lock:
            if (self._depth > 0 or self.elsewhere) and now_s - self._said_s >= LONGEST_SILENCE_S:
                self._show(f"Still compiling: {self._names[0] if self._names else self._last} ...")

    def _watch(self) -> None:
        if self._watcher is None and not _is_quiet():
            self._watcher = threading.Thread(target=self._keep_watch, name="compile-progress", daemon=True)
            self._watcher.start()

    def _keep_watch(self) -> None:
        while True:
            time.sleep(0.2)
            with self._lock:
                if self._depth == 0 and not self.elsewhere:
                    self._watcher = None
                    return
            self.remind(time.perf_counter())

    def _show(self, text: str) -> None:
        self._said_s = time.perf_counter()
        if _is_quiet():
            return
        # Under a progress bar stderr is no longer the process's own: lines then go above the bar.
        if sys.stderr is not sys.__stderr__ or not sys.stderr.isatty():
            _print(text)
        elif self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status(text)
            self._status.start()
        else:
            self._status.update(text)


def _is_quiet() -> bool:
    return os.environ.get("MAESTRO_QUIET", "0") not in ("", "0")


def _print(text: str) -> None:
    if not _is_quiet():
        print(text, file=sys.stderr, flush=True)


PROGRESS = CompileProgress()
"""What this process says."""


def tell_of_compiling() -> None:
    """Begin to listen, for the rest of the process."""
    register("numba:compile", PROGRESS)
