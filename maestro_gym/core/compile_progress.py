"""Says on stderr which big part of the simulator is being compiled, of how many: "Compiling 3 of 11: ...".

numba tells a listener of every function that it compiles, and of none that it reads from disk. `PARTS` names the few
of them that take seconds, so what is cached is neither counted nor said. On a terminal it is one line that
changes; in a pipe or a log, a line each. MAESTRO_QUIET=1 keeps it silent.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from numba.core.event import Event, Listener, register

from maestro_gym.core.code_cache import cache_root, is_kept

if TYPE_CHECKING:
    from rich.status import Status


class Part(NamedTuple):
    """A function that takes long to compile, and which processes compile it.

    Attributes:
        title: What it is, for the reader.
        module: Its module, without ``maestro_gym.``.
        function: Its name; of closures, the name of the function that makes them.
        needed_by: The module whose processes need it: it is compiled once that module is imported.
    """

    title: str
    module: str
    function: str
    needed_by: str


PARTS = (
    Part("engine", "sim.engine", "run_until", "sim.engine"),
    Part("decisions that fall due", "sim.decisions", "due_decision", "sim.engine"),
    Part("steps of a node", "sim.steps", "plan_node", "sim.engine"),
    Part("memory that gives way", "sim.reclaim", "make_room", "sim.engine"),
    Part("events", "sim.events", "handle_events", "sim.engine"),
    Part("actions", "sim.engine", "act", "sim.engine"),
    Part("environment", "envs.batch.kernel", "step_one", "envs"),
    Part("observation", "envs.observation.observe", "observe", "envs"),
    Part("global rule", "baselines.build", "global_rule", "sim.engine"),
    Part("cluster rule", "baselines.build", "cluster_rule", "sim.engine"),
    Part("node rule", "baselines.build", "node_rule", "sim.engine"),
)
"""What takes a second or more, in the order in which it begins. Rules that a process meets later are not told."""


def _part_of(function: Any) -> Part | None:  # noqa: ANN401 - a function of anyone's
    name = f"{function.__module__}.{function.__qualname__.partition('.<locals>')[0]}"
    return next((part for part in PARTS if name == f"maestro_gym.{part.module}.{part.function}"), None)


def missing_parts() -> list[Part]:
    """The parts that this process needs, by what it has imported, and that are not on disk."""
    return [
        part
        for part in PARTS
        if f"maestro_gym.{part.needed_by}" in sys.modules and not is_kept(part.module, part.function)
    ]


class CompileProgress(Listener):
    """Listens to numba, and tells of each part once a process."""

    def __init__(self) -> None:
        """Nothing has been told."""
        self._told: set[Part] = set()
        self._plan: set[Part] = set()
        self._total = 0
        self._depth = 0
        self._begin_s = 0.0
        self._status: Status | None = None

    def on_start(self, event: Event) -> None:
        """A function begins to be compiled, perhaps within another.

        Args:
            event: Of kind ``numba:compile``.
        """
        self._depth += 1
        about: Any = event.data
        part = _part_of(about["dispatcher"].py_func)
        if part is None or part in self._told:
            return
        if not self._plan:
            self._plan = {part, *missing_parts()} - self._told
            self._total, self._begin_s = len(self._plan), time.perf_counter()
        if part not in self._plan:
            return  # on disk for other types, or under another policy: not counted, so not told
        self._told.add(part)
        done = self._total - len(self._plan - self._told)
        self._show(f"Compiling {done} of {self._total}: {part.title} ({part.module}) ...")

    def on_end(self, event: Event) -> None:
        """It is compiled, or failed to.

        Args:
            event: Of kind ``numba:compile``.
        """
        self._depth -= 1
        if self._depth > 0:
            return
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._plan and self._plan <= self._told:
            self._plan = set()
            seconds = time.perf_counter() - self._begin_s
            _print(f"Compiled in {seconds:.0f} s; the next run finds it in {cache_root()}.")

    def _show(self, text: str) -> None:
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


def tell_of_compiling() -> None:
    """Begin to listen, for the rest of the process."""
    register("numba:compile", CompileProgress())
