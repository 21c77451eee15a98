"""A trace as a workload: episodes are windows of it, the splits are blocks that do not overlap."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from maestro_gym.core import hashing
from maestro_gym.core.errors import MaestroError
from maestro_gym.state import Episode
from maestro_gym.workloads.arrivals.processes import POISSON, ArrivalProcess, stretched
from maestro_gym.workloads.deployments import Deployments
from maestro_gym.workloads.graph import assemble
from maestro_gym.workloads.records import unit_service
from maestro_gym.workloads.traces.files import read_trace
from maestro_gym.workloads.traces.format import Trace
from maestro_gym.workloads.traces.mapping import fit_lengths, map_models, select
from maestro_gym.workloads.workload import SPLITS, Mix, mix_of

SPLIT_SHARES = (0.6, 0.2, 0.2)
"""Shares of the workflows, in order of arrival, that train, validation and test own."""


class TraceWorkload:
    """Episodes of a trace.

    ``own`` replays the trace's arrival times in a window that begins with a workflow of the split's
    block; it ends with the block. ``scaled`` stretches time so that the block's mean rate is the one
    asked for; ``process`` keeps the order of the workflows and draws the times afresh. These two go
    round the block until the horizon; every round has context groups of its own.

    Attributes:
        name: The file's name without its suffix.
        trace: What is replayed, fitted to the deployments.
        overlong_count: Calls that were clipped, or workflows dropped, because they were too long.
        notes: What the reader of a result should know.
        application_names: Names, by ``workflows.application``.
        role_names: Names, by ``stages.role``.
        tenant_names: Names, by ``workflows.tenant``.
    """

    def __init__(
        self,
        path: str | Path,
        deployments: Deployments,
        *,
        format_name: str = "auto",
        model_map: Mapping[str, str] | None = None,
        arrivals: str = "scaled",
        process: ArrivalProcess = POISSON,
        overlong: str = "error",
        num_clusters: int = 1,
        time_scale: float = 1.0,
    ) -> None:
        """Read a trace and fit it to a set of deployments.

        Args:
            path: The file.
            deployments: What can be asked for.
            format_name: A name of ``FORMATS``, or auto.
            model_map: Model name of the trace -> deployment; see ``map_models``.
            arrivals: ``own``, ``scaled`` or ``process``.
            process: What draws the times, if ``process``.
            overlong: ``error``, ``clip`` or ``drop``; see ``fit_lengths``.
            num_clusters: Tenants are spread over so many ingress clusters.
            time_scale: Multiplies deadlines, TTFT limits and tool gaps.

        Raises:
            MaestroError: The file is bad or does not fit.
        """
        trace = read_trace(path, format_name)
        trace.stages["model"] = map_models(trace, deployments, model_map or {})
        trace, self.overlong_count = fit_lengths(trace, deployments, overlong)
        for column in ("deadline_s", "ttft_limit_s"):
            trace.workflows[column] *= time_scale
        trace.hidden["tool_gap_s"] *= time_scale
        trace.workflows["ingress_cluster"] = trace.workflows["tenant"] % num_clusters
        self.name = Path(path).stem
        self.notes: tuple[str, ...] = ()
        if self.overlong_count:
            done = "calls were clipped" if overlong == "clip" else "workflows were dropped"
            self.notes = (f"{trace.source}: {self.overlong_count} {done}, being above their max_model_len.",)
        self.trace = trace
        self.application_names = trace.application_names
        self.role_names = trace.role_names
        self.tenant_names = trace.tenant_names
        self._num_models = len(deployments.names)
        self._arrivals = arrivals
        self._process = process

    def block(self, split: str) -> range:
        """Return the workflows that a split owns.

        Args:
            split: ``train``, ``validation`` or ``test``.

        Returns:
            Workflow ids of ``trace``; the three ranges are disjoint, none is empty.

        Raises:
            MaestroError: There are too few workflows. A trace that is replayed whole needs no splits.
        """
        count = len(self.trace.workflows)
        if count < len(SPLITS):
            raise MaestroError(
                f"{self.trace.source}: has {count} workflows; training, validation and test need one each, so give "
                "at least 3."
            )
        train = min(max(int(count * SPLIT_SHARES[0]), 1), count - 2)
        validation = min(max(int(count * SPLIT_SHARES[1]), 1), count - train - 1)
        bounds = (0, train, train + validation, count)
        index = SPLITS.index(split)
        return range(bounds[index], bounds[index + 1])

    def episode(
        self, key: int, rate_rps: float, horizon_s: float, service: np.ndarray, split: str = "train"
    ) -> Episode:
        """Make one episode; see ``Workload.episode``. ``own`` arrivals do not follow ``rate_rps``."""
        block = self.block(split)
        draw = hashing.uniform(key, hashing.TRACE_WINDOW, 0)
        if self._arrivals == "process":
            times_s = self._process.times_s(key, rate_rps, horizon_s)
            places = int(draw * len(block)) + np.arange(len(times_s))
        elif self._arrivals == "own":
            places, times_s = self._own(block, draw, horizon_s)
        else:
            places, times_s = self._scaled(block, draw, rate_rps, horizon_s)
        return self._replay(block.start + places % len(block), places // len(block), times_s, service)

    def whole(self, service: np.ndarray) -> Episode:
        """Return the whole trace, all three splits, at its own times.

        Args:
            service: SERVICE, shape (num_models,).

        Returns:
            An episode for looking at one trace, its workflow w being workflow w of ``trace``; nothing that is learned
            or chosen may be judged on it.
        """
        chosen = np.arange(len(self.trace.workflows))
        return self._replay(chosen, np.zeros(len(chosen), np.int64), self.trace.workflows["arrival_s"], service)

    def history(self, num_workflows: int, service: np.ndarray) -> Episode:
        """Return the latest workflows of the training block; see ``Workload.history``."""
        block = self.block("train")
        chosen = np.arange(max(block.start, block.stop - num_workflows), block.stop)
        return self._replay(chosen, np.zeros(len(chosen), np.int64), np.zeros(len(chosen)), service)

    def mix(self) -> Mix:
        """Return the statistics of the whole trace."""
        return self._mix

    @cached_property
    def _mix(self) -> Mix:
        return mix_of(self.whole(unit_service(self._num_models)), self._num_models)

    def _own(self, block: range, draw: float, horizon_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Choose a window of the block that the horizon fills, if there is one."""
        times_s = self.trace.workflows["arrival_s"][block.start : block.stop]
        starts = max(int(np.count_nonzero(times_s + horizon_s <= times_s[-1])), 1)
        first = int(draw * starts)
        shifted_s = times_s[first:] - times_s[first]
        shifted_s = shifted_s[shifted_s < horizon_s]
        return first + np.arange(len(shifted_s)), shifted_s

    def _scaled(self, block: range, draw: float, rate_rps: float, horizon_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Stretch the block to the rate and go round it from a drawn workflow."""
        times_s = self.trace.workflows["arrival_s"][block.start : block.stop]
        if times_s[-1] <= times_s[0]:
            raise MaestroError(
                f"{self.trace.source}: all {len(times_s)} workflows of a split arrive at the same time, which cannot "
                "be stretched to a rate. Set workload.trace_arrivals=process."
            )
        return stretched(times_s, draw, rate_rps, horizon_s)

    def _replay(self, chosen: np.ndarray, rounds: np.ndarray, times_s: np.ndarray, service: np.ndarray) -> Episode:
        """Lay chosen workflows out as an episode."""
        part = select(self.trace, chosen)
        part.workflows["arrival_s"] = times_s
        part.workflows["deadline_s"] += times_s
        return _lay_out(part, rounds, service)


def trace_episode(trace: Trace) -> Episode:
    """Lay a whole trace out as an episode, for statistics: nothing takes service time.

    Args:
        trace: The trace, ``stages.model`` any index.

    Returns:
        The episode.
    """
    chosen = np.arange(len(trace.workflows))
    return _lay_out(
        select(trace, chosen), np.zeros(len(chosen), np.int64), unit_service(int(trace.stages["model"].max()) + 1)
    )


def _lay_out(part: Trace, rounds: np.ndarray, service: np.ndarray) -> Episode:
    """Number groups and parents through; contexts of another round are others."""
    workflows, stages = part.workflows, part.stages
    apart = part.num_sys_groups + rounds[stages["workflow"]] * part.num_ctx_groups
    stages["ctx_group"] = np.where(stages["ctx_group"] >= 0, stages["ctx_group"] + apart, -1)
    counts = np.diff(part.parent_start)
    parents = part.parents + np.repeat(workflows["first_stage"][stages["workflow"]], counts)
    return assemble(workflows, stages, part.hidden, part.parent_start, parents, service)
