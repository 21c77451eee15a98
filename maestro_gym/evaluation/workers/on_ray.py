"""Workers that are the cores of a Ray cluster.

Each job is a task of one core. Ray itself tries nothing again: a lost task is a lost worker, as with processes.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import Any, NamedTuple, TypeVar

from llvmlite.binding import get_host_cpu_name

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import usable_cores
from maestro_gym.core.worker_process import SETTINGS, become_worker
from maestro_gym.evaluation.run_info import versions
from maestro_gym.evaluation.suite.fingerprint import source_hashes
from maestro_gym.evaluation.workers.workers import WorkerLostError, Workers

J = TypeVar("J")
R = TypeVar("R")

SILENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
"""What Ray reads at its import: it sends nothing home and gives no advice."""

OWN_CLUSTER = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
"""What Ray reads as it starts servers of our own. The names are Ray's: without a cluster of several machines these
listen on the loopback interface alone; and workers are as nice as this process, where at Ray's own 15 any other work on
the machine would leave them next to nothing."""

_STORE_BYTES = 128 << 20
"""Shared memory of a cluster of our own; results are small, and Ray would take a third of the machine's."""

_ANSWER_S = 10.0
"""How long a cluster may take to answer at its address."""

_SHOWN = 300
"""Letters of Ray's own words that an error repeats."""

_CRITICAL = 50


class _Answer(NamedTuple):
    """What comes back from a worker.

    Attributes:
        node: The host that it ran on.
        processor: Its processor, as the compiler calls it.
        value: What the job returned, or raised.
        failed: Whether it was raised.
    """

    node: str
    processor: str
    value: Any
    failed: bool


class OnRay(Workers):
    """The cores of a Ray cluster, one job each; the cluster is started here, or is there already."""

    def __init__(self, address: str | None, count: int | None) -> None:
        """Look whether Ray is there; nothing is started yet.

        Args:
            address: Of the cluster; None starts one on this machine, unless this process has joined one already.
            count: Jobs at a time; None: one for every core of the cluster.

        Raises:
            MaestroError: Ray is not installed.
        """
        super().__init__()
        if importlib.util.find_spec("ray") is None:
            raise MaestroError(
                f"--on {address or 'ray'}: Ray is not installed. Install it by: pip install 'maestro-gym[ray]'"
            )
        self._address, self._count = address, count
        self._folder: str | None = None
        self._joined = False
        self._task: Any = None
        self._refs: dict[Future[Any], Any] = {}
        self._told: set[str] = set()

    @property
    def width(self) -> int:
        """Cores of the cluster now, or as many jobs as were asked for."""
        self._start()
        import ray

        cores = int(ray.cluster_resources().get("CPU", 0))
        return max(1, cores if self._count is None else min(self._count, cores))

    def submit(self, work: Callable[[J], R], job: J) -> Future[Any]:
        """Hand a job to the cluster."""
        self._start()
        ref = self._task.remote(work, pickle.dumps(job), here(), os.getcwd())
        future: Future[Any] = ref.future()
        self._refs[future] = ref
        return future

    def answer(self, future: Future[Any]) -> Any:  # noqa: ANN401 - whatever the job returned
        """What a job came to."""
        from ray.exceptions import RayError, RuntimeEnvSetupError

        del self._refs[future]
        try:
            # Pickled by the task: arrays that Ray hands on lie in its shared memory, and end with it.
            answer = _Answer(*pickle.loads(future.result()))
        except RuntimeEnvSetupError as error:
            raise MaestroError(f"Ray cannot start workers of its cluster: {error}") from error
        except RayError as error:
            raise WorkerLostError(str(error).partition("\n")[0]) from error
        self._tell_processor(answer)
        if answer.failed:
            raise answer.value
        return answer.value

    def close(self) -> None:
        """Give up what still runs, leave the cluster, and end it if it was started here."""
        if self._task is None:
            return
        import ray

        for ref in self._refs.values():
            ray.cancel(ref, force=True)
        self._refs.clear()
        self._task = None
        if self._joined:
            ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        if self._task is not None:
            return
        own = self._address is None
        os.environ.update(SILENCE | (OWN_CLUSTER if own else {}))
        import ray
        from ray.exceptions import RayError

        self.end_on_sigterm()
        if not ray.is_initialized():
            ours = signal.getsignal(signal.SIGTERM)
            try:
                self._init()
            except (OSError, RuntimeError, ValueError, RayError) as error:
                words = " ".join(str(error).split())[:_SHOWN]
                raise MaestroError(
                    f"--on {self._address or 'ray'}: Ray cannot be reached ({words}). Start a cluster by "
                    "`ray start --head`, or correct the address."
                ) from error
            self._joined = True
            if self._before is not None:  # Ray sets a handler of its own, which prints the stack
                signal.signal(signal.SIGTERM, ours)
        # A word of their own keeps to fresh processes: those of an earlier sweep remember policies as they were then.
        variables = SETTINGS | {"MAESTRO_SWEEP": uuid.uuid4().hex}
        settings: Any = {"num_cpus": 1, "max_retries": 0, "runtime_env": {"env_vars": variables}}
        self._task = ray.remote(_do).options(**settings)

    def _init(self) -> None:
        import ray

        silent: dict[str, Any] = {"log_to_driver": False, "logging_level": _CRITICAL}
        if self._address is not None:
            if ":" in self._address:  # Ray would ask for minutes
                host, _, port = self._address.removeprefix("ray://").rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
            ray.init(address=self._address, **silent)
            return
        self._folder = tempfile.mkdtemp(prefix="maestro-")
        ray.init(
            address="local",
            num_cpus=self._count or usable_cores(),
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            _temp_dir=self._folder,
            **silent,
        )

    def _tell_processor(self, answer: _Answer) -> None:
        own = get_host_cpu_name()
        if answer.processor != own and answer.node not in self._told:
            self._told.add(answer.node)
            print(
                f"{answer.node} has another processor ({answer.processor}, here {own}): results may differ from "
                "those of one machine in their last bits.",
                file=sys.stderr,
            )


def _do(work: Callable[[Any], Any], job: bytes, asked: dict[str, str], folder: str) -> bytes:
    """Do a job in a worker of the cluster: from the same sources, and in the folder of the one who asks."""
    become_worker()
    place = (os.uname().nodename if hasattr(os, "uname") else "", get_host_cpu_name())
    try:
        _refuse_others(asked, place[0])
        if os.path.isdir(folder):
            os.chdir(folder)
        return pickle.dumps((*place, work(pickle.loads(job)), False))
    except Exception as error:
        if not isinstance(error, MaestroError):
            error.add_note("".join(traceback.format_exc()))
        return pickle.dumps((*place, error, True))


@cache
def here() -> dict[str, str]:
    """What results depend on: versions of packages, and the project's sources."""
    return versions() | {f"sources of {name}": digest for name, digest in source_hashes().items()}


def _refuse_others(asked: dict[str, str], node: str) -> None:
    found = here()
    differing = [
        f"{name} ({found.get(name, 'none')}, asked for {asked.get(name, 'none')})"
        for name in dict.fromkeys((*asked, *found))
        if asked.get(name) != found.get(name)
    ]
    if differing:
        raise MaestroError(
            f"{node} would give other results: it has another {', '.join(differing)}. Install the same "
            "maestro-gym with its constraints.txt on every machine of the cluster."
        )
