"""From the word of the user to workers."""

from __future__ import annotations

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import usable_cores
from maestro_gym.evaluation.workers.processes import Processes
from maestro_gym.evaluation.workers.workers import Workers

LOCAL = "local"


def open_workers(on: str = LOCAL, jobs: int | None = None) -> Workers:
    """Choose workers; they start with their first job, and end with the context that they are.

    Args:
        on: ``local``, processes of this machine; ``ray``, a Ray cluster on this machine that is started and ended;
            or the address of a Ray cluster that is there, as ``ray.init`` takes it.
        jobs: Jobs at a time; None: one for every usable core, of the whole cluster.

    Raises:
        MaestroError: There are no such workers, or Ray is not installed.
    """
    if on == LOCAL:
        return Processes(jobs or usable_cores())
    if on != "ray" and on != "auto" and ":" not in on:
        raise MaestroError(
            f"--on {on}: there are no such workers. Write local, ray, or the address of a Ray cluster such as "
            "ray://head:10001."
        )
    from maestro_gym.evaluation.workers.on_ray import OnRay

    return OnRay(None if on == "ray" else on, jobs)
