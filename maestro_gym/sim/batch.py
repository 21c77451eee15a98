"""A batch of simulated environments: its arrays, episodes put into it, snapshots of it."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np

from maestro_gym.core.boxed import box
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.hashing import mix
from maestro_gym.scheduling.tiers import ALL_TIERS
from maestro_gym.sim.placement import host_tiers, start_running, warm_placement
from maestro_gym.state import (
    NODE_OFF,
    NODE_READY,
    NUMBERS,
    PERCENTILES,
    Core,
    Episode,
    Hidden,
    State,
    View,
    World,
)
from maestro_gym.state.allocate import allocate, by_name, set_blank, sizes_of
from maestro_gym.state.fields import arrays_of
from maestro_gym.state.types import BOXED_STATE

PREFIX_ENTRIES = 64
"""Prefix groups that one engine can tell apart; the least recently used makes way."""

SLEEPERS = 4
"""Engine slots of a node beyond those that its HBM can hold awake."""

EVENT_BUDGET = 200_000
"""Events between two decisions after which an episode ends with a reason, instead of hanging."""

RESIDENCY_LOG = 4096
NODE_SAMPLE_CELLS = 2**20
"""Most cells of the time series of single nodes, 20 MB: a fleet of thousands keeps its first rows."""

_POLICY_PURPOSE = 901


def _native(array: np.ndarray) -> np.ndarray:
    """The same array as `allocate` would have made it."""
    if array.dtype.names is None:
        return array
    return by_name(np.ascontiguousarray(array).view(np.dtype(array.dtype.descr), np.ndarray))


class Simulation:
    """State of a batch of environments over one world.

    Attributes:
        world: The fleet and its tables, shared by the batch.
        num_envs: E.
        state: All arrays, see `state.State`. Replaced when an episode needs larger ones.
        numbers: float64, shape (E, NUMBERS + PERCENTILES): what the policy of each environment is given when its next
            episode is loaded, see `Policy.numbers` and `Policy.scale`.
        orders_tools: Whether the policy's global rule is asked whose call gets a place of a tool.
        decides_contexts: Whether its node rule is asked what becomes of a context while its tool runs.
        chooses_degree: Whether its node rule is asked how the GPUs of boards are grouped.
    """

    def __init__(
        self,
        world: World,
        num_envs: int = 1,
        *,
        evaluation: bool = False,
        warm: bool = True,
        num_samples: int = 0,
        log_residency: bool = False,
        placement: np.ndarray | None = None,
        metric_tiers: int = ALL_TIERS,
    ) -> None:
        """Allocate a batch; every environment is blank until `load`.

        Args:
            world: From `build_world`.
            num_envs: Environments in the batch.
            evaluation: Drain after the horizon instead of truncating at it.
            warm: Begin with popular models RUNNING.
            num_samples: Rows of the time series kept per environment.
            log_residency: Keep a log of promotions and demotions.
            placement: bool (N, M), models RUNNING at the start in place of the warm placement.
            metric_tiers: Bit t is set when somebody looks at metric fields in decisions of tier t; elsewhere they are
                not brought up to now.

        Raises:
            MaestroError: The scenario's limits contradict each other.
        """
        params = world.params[0]
        if params["max_num_seqs"] > params["max_num_batched_tokens"]:
            raise MaestroError(
                f"limits.max_num_seqs ({params['max_num_seqs']}) is above limits.max_num_batched_tokens "
                f"({params['max_num_batched_tokens']}): every running sequence needs one token of a step's budget. "
                "Lower the first or raise the second."
            )
        self.world = World(*(_native(field) for field in world))
        self.num_envs = num_envs
        self._evaluation = evaluation
        self._metric_tiers = metric_tiers
        self._num_samples = num_samples
        self._num_log = RESIDENCY_LOG if log_residency else 0
        self._tiers = host_tiers(world)
        if placement is None:
            placement = warm_placement(world) if warm else np.zeros((len(world.nodes), len(world.models)), bool)
        self._placement = np.ascontiguousarray(placement, dtype=bool)
        smallest = float(world.perf["weight_bytes"].min() + params["margin_bytes"])
        awake = int(world.nodes["hbm_pool_bytes"].max() // smallest)
        self._num_slots = int(min(len(world.models), max(awake, int(placement.sum(1).max())) + SLEEPERS))
        self._sizes = (1, 1, 1, 1)
        self.numbers = np.zeros((num_envs, NUMBERS + PERCENTILES))
        self.orders_tools = False
        self.decides_contexts = False
        self.chooses_degree = False
        self.state = self._allocate(*self._sizes)

    def _allocate(self, workflows: int, stages: int, edges: int, outages: int) -> State:
        world, envs = self.world, self.num_envs
        params = world.params[0]
        slots = self._num_slots
        sizes = sizes_of(world) | {
            "E": envs,
            "W": workflows,
            "S": stages,
            "J": edges,
            "f": outages,
            "K": slots,
            "Q": int(params["node_queue_limit"]),
            "B": int(params["max_num_seqs"]),
            "X": PREFIX_ENTRIES,
            "R": 3 * slots,
            "T": self._num_samples,
            "D": min(self._num_samples, NODE_SAMPLE_CELLS // max(1, len(world.nodes))),
            "L": self._num_log,
        }
        return State(allocate(View, sizes, world=world), allocate(Hidden, sizes), allocate(Core, sizes))

    def _grow(self, episode: Episode) -> None:
        """Replace the arrays by larger ones when an episode does not fit, with all that they hold."""
        need = (
            len(episode.workflows),
            len(episode.stages),
            max(1, len(episode.children)),
            max(1, len(episode.outages)),
        )
        if all(n <= have for n, have in zip(need, self._sizes, strict=True)):
            return
        # A quarter more than needed, so that the next slightly larger episode does not copy again.
        sizes = [have if n <= have else n + n // 4 for n, have in zip(need, self._sizes, strict=True)]
        self._sizes = (sizes[0], sizes[1], sizes[2], sizes[3])
        old, self.state = self.state, self._allocate(*self._sizes)
        for part, fresh in zip(old, self.state, strict=True):
            for name in arrays_of(type(part)):
                array = getattr(part, name)
                getattr(fresh, name)[tuple(slice(0, n) for n in array.shape)] = array

    def load(self, e: int, episode: Episode, key: int = 0) -> None:
        """Put an episode into environment ``e`` and set it to its beginning.

        Args:
            e: Environment.
            episode: What will happen.
            key: Seed of randomised rules, apart from the episode's own draws.
        """
        self._grow(episode)
        view, hidden, core = self.state
        for part in (view, core):
            set_blank(part, e)
        for array, values in zip(hidden, episode, strict=True):
            array[e, : len(values)] = values
        view.numbers[e] = self.numbers[e]
        view.clock[e]["key"] = mix(key, _POLICY_PURPOSE, 0)
        view.nodes[e]["kv_pool_bytes"] = (
            0.0 if self.world.params[0]["partitioned"] else self.world.nodes["hbm_pool_bytes"]
        )
        view.nodes[e]["rho"] = self.world.params[0]["rho_min"]
        view.host_models[e]["tier"] = self._tiers
        env = core.env[e]
        params = self.world.params[0]
        env["num_workflows"] = len(episode.workflows)
        env["num_outages"] = len(episode.outages)
        env["next_scale_s"] = params["scale_period_s"] if params["scale_period_s"] > 0 else math.inf
        view.nodes[e]["node_state"] = np.where(self.world.nodes["begins_off"] == 1, NODE_OFF, NODE_READY)
        view.clock[e]["nodes_on"] = np.count_nonzero(view.nodes[e]["node_state"] == NODE_READY)
        env["event_budget"] = EVENT_BUDGET
        env["metric_tiers"] = self._metric_tiers
        env["orders_tools"] = int(self.orders_tools)
        env["decides_contexts"] = int(self.decides_contexts)
        env["chooses_degree"] = int(self.chooses_degree)
        env["next_regroup_s"] = params["regroup_period_s"] if params["regroup_period_s"] > 0 else math.inf
        env["evaluation"] = int(self._evaluation)
        env["next_sample_s"] = (
            params["sample_period_s"] if self._num_samples and params["sample_period_s"] > 0 else math.inf
        )
        env["next_scrape_s"] = params["metrics_delay_s"] if params["metrics_delay_s"] > 0 else math.inf
        start_running(box(self.state, BOXED_STATE), e, self._placement)

    def snapshot(self) -> State:
        """Copy of the whole state, for `restore`."""
        view, hidden, core = self.state
        return State(
            View(*(array.copy() for array in view[:-1]), world=self.world),
            Hidden(*(array.copy() for array in hidden)),
            Core(*(array.copy() for array in core)),
        )

    def restore(self, snapshot: State) -> None:
        """Go back to a snapshot of this batch.

        Raises:
            MaestroError: The snapshot is of a batch of another size.
        """
        if snapshot.visible.clock.shape != self.state.visible.clock.shape:
            raise MaestroError(
                f"Snapshot of {len(snapshot.visible.clock)} environments cannot be restored into a batch of "
                f"{self.num_envs}: restore it into the batch it was taken from, or a fork of it."
            )
        self._sizes = (
            snapshot.visible.workflows.shape[1],
            snapshot.visible.stages.shape[1],
            snapshot.hidden.children.shape[1],
            snapshot.hidden.outages.shape[1],
        )
        self.state = snapshot
        self.state = self.snapshot()

    def fork(self) -> Simulation:
        """An independent batch that goes on from the same state, for what-if questions."""
        fork = object.__new__(Simulation)
        fork.__dict__ = {k: v if k in ("world", "state") else deepcopy(v) for k, v in self.__dict__.items()}
        fork.state = self.snapshot()
        return fork
