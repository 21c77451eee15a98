"""A batch of simulated environments: its arrays, episodes put into it, snapshots of it."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np

from maestro_gym import schema
from maestro_gym.core.compile import INTERPRETED
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.hashing import mix
from maestro_gym.scheduling.sizes import load_bytes
from maestro_gym.schema import Core, Episode, Hidden, State, View, World
from maestro_gym.sim.placement import host_tiers, warm_placement
from maestro_gym.sim.residency import take_hbm

PREFIX_ENTRIES = 64
"""Prefix groups that one engine can tell apart; the least recently used makes way."""

SLEEPERS = 4
"""Engine slots of a node beyond those that its HBM can hold awake."""

EVENT_BUDGET = 200_000
"""Events between two decisions after which an episode ends with a reason, instead of hanging."""

RESIDENCY_LOG = 4096
_POLICY_PURPOSE = 901


def records(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeroed structured array whose fields read as attributes, compiled or interpreted."""
    array = np.zeros(shape, dtype)
    return array.view(np.recarray) if INTERPRETED else array


def _native(array: np.ndarray) -> np.ndarray:
    """The same array as `records` would have made it."""
    if array.dtype.names is None:
        return array
    plain = np.ascontiguousarray(array).view(np.dtype(array.dtype.descr), np.ndarray)
    return plain.view(np.recarray) if INTERPRETED else plain


class Simulation:
    """State of a batch of environments over one world.

    Attributes:
        world: the fleet and its tables, shared by the batch.
        num_envs: E.
        state: all arrays, see `schema.State`. Replaced when an episode needs larger ones.
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
    ) -> None:
        """Allocate a batch; every environment is blank until `load`.

        Args:
            world: from `build_world`.
            num_envs: environments in the batch.
            evaluation: drain after the horizon instead of truncating at it.
            warm: begin with popular models RUNNING.
            num_samples: rows of the time series kept per environment.
            log_residency: keep a log of promotions and demotions.
            placement: bool (N, M), models RUNNING at the start in place of the warm placement.

        Raises:
            MaestroError: the scenario's limits contradict each other.
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
        self._num_samples = num_samples
        self._num_log = RESIDENCY_LOG if log_residency else 0
        self._tiers = host_tiers(world)
        if placement is None:
            placement = warm_placement(world) if warm else np.zeros((len(world.nodes), len(world.models)), bool)
        self._placement = placement
        smallest = float(world.perf["weight_bytes"].min() + params["margin_bytes"])
        awake = int(world.nodes["hbm_pool_bytes"].max() // smallest)
        self._num_slots = int(min(len(world.models), max(awake, int(placement.sum(1).max())) + SLEEPERS))
        self._sizes = (1, 1, 1)
        self.state = self._allocate(*self._sizes)

    def _allocate(self, workflows: int, stages: int, edges: int) -> State:
        world, envs = self.world, self.num_envs
        params = world.params[0]
        nodes, slots, models, hosts = len(world.nodes), self._num_slots, len(world.models), len(world.hosts)
        queue = int(params["node_queue_limit"])
        view = View(
            clock=records((envs,), schema.CLOCK),
            workflows=records((envs, workflows), schema.WORKFLOW_VIEW),
            stages=records((envs, stages), schema.STAGE_VIEW),
            nodes=records((envs, nodes), schema.NODE_VIEW),
            engines=records((envs, nodes, slots), schema.ENGINE_VIEW),
            models=records((envs, models), schema.MODEL_VIEW),
            waiting=np.zeros((envs, nodes, models), np.int64),
            slot_of=np.zeros((envs, nodes, models), np.int64),
            changed_s=np.zeros((envs, nodes, models)),
            host_models=records((envs, hosts, models), schema.HOST_MODEL),
            global_queue=np.zeros((envs, stages), np.int32),
            node_queue=np.zeros((envs, nodes, queue), np.int32),
            batch=np.zeros((envs, nodes, slots, int(params["max_num_seqs"])), np.int32),
            prefixes=records((envs, nodes, slots, PREFIX_ENTRIES), schema.PREFIX),
            prefix_groups=np.zeros((envs, nodes, slots, PREFIX_ENTRIES), np.int32),
            reclaim=records((envs, 3 * slots), schema.RECLAIM),
            reclaim_len=np.zeros(envs, np.int64),
            memory=np.zeros((envs, schema.MEMORY)),
            model_memory=np.zeros((envs, models)),
            world=world,
        )
        hidden = Hidden(
            workflows=records((envs, workflows), schema.WORKFLOW),
            stages=records((envs, stages), schema.STAGE),
            truth=records((envs, stages), schema.STAGE_HIDDEN),
            predictions=records((envs, stages), schema.PREDICTION),
            children=np.zeros((envs, edges), np.int64),
        )
        core = Core(
            env=records((envs,), schema.ENV_CORE),
            sequences=records((envs, stages), schema.SEQUENCE),
            engines=records((envs, nodes, slots), schema.ENGINE_CORE),
            nodes=records((envs, nodes), schema.NODE_CORE),
            workflows_left=np.zeros((envs, workflows), np.int64),
            heap_s=np.zeros((envs, stages)),
            heap_stage=np.zeros((envs, stages), np.int64),
            counters=records((envs,), schema.COUNTERS),
            samples=records((envs, self._num_samples), schema.SAMPLE),
            residency_log=records((envs, self._num_log), schema.RESIDENCY_EVENT),
            residency_len=np.zeros(envs, np.int64),
        )
        return State(view, hidden, core)

    def _grow(self, episode: Episode) -> None:
        """Replace the arrays by larger ones when an episode does not fit, with all that they hold."""
        need = (len(episode.workflows), len(episode.stages), max(1, len(episode.children)))
        if all(n <= have for n, have in zip(need, self._sizes, strict=True)):
            return
        # A quarter more than needed, so that the next slightly larger episode does not copy again.
        sizes = [have if n <= have else n + n // 4 for n, have in zip(need, self._sizes, strict=True)]
        self._sizes = (sizes[0], sizes[1], sizes[2])
        old, self.state = self.state, self._allocate(*self._sizes)
        for part, fresh in zip(old, self.state, strict=True):
            for name, array in part._asdict().items():
                if name != "world":
                    getattr(fresh, name)[tuple(slice(0, n) for n in array.shape)] = array

    def load(self, e: int, episode: Episode, key: int = 0) -> None:
        """Put an episode into environment ``e`` and set it to its beginning.

        Args:
            e: environment.
            episode: what will happen.
            key: seed of randomised rules, apart from the episode's own draws.
        """
        self._grow(episode)
        view, hidden, core = self.state
        for part in (view, core):
            for name, array in part._asdict().items():
                if name != "world":
                    array[e] = np.zeros((), array.dtype)
        for array, values in zip(hidden, episode, strict=True):
            array[e, : len(values)] = values
        view.workflows[e]["arrival_s"] = math.inf
        view.workflows[e]["finished_s"] = math.inf
        view.workflows[e]["last_preempted_s"] = -math.inf
        view.workflows[e]["last_node"] = -1
        stages = view.stages[e]
        for name in ("ready_s", "sent_s", "queued_s", "admitted_s", "first_token_s", "finished_s"):
            stages[name] = math.inf
        for name in ("node", "cluster", "workflow", "sys_group", "ctx_group"):
            stages[name] = -1
        view.clock[e]["tier"] = schema.NO_TIER
        view.clock[e]["stage"] = -1
        view.clock[e]["cluster"] = -1
        view.clock[e]["key"] = mix(key, _POLICY_PURPOSE, 0)
        view.nodes[e]["kv_pool_bytes"] = (
            0.0 if self.world.params[0]["partitioned"] else self.world.nodes["hbm_pool_bytes"]
        )
        view.nodes[e]["rho"] = self.world.params[0]["rho_min"]
        view.engines[e]["model"] = -1
        view.slot_of[e] = -1
        view.changed_s[e] = -math.inf
        view.prefix_groups[e] = -1
        view.prefixes[e]["base_entry"] = -1
        view.host_models[e]["tier"] = self._tiers
        core.sequences[e]["ref_entry"] = -1
        core.engines[e]["event_s"] = math.inf
        core.engines[e]["load_event_s"] = math.inf
        core.engines[e]["factor"] = 1.0
        core.nodes[e]["event_s"] = math.inf
        core.nodes[e]["wait_until_s"] = math.inf
        env = core.env[e]
        params = self.world.params[0]
        env["num_workflows"] = len(episode.workflows)
        env["global_wait_until_s"] = math.inf
        env["event_budget"] = EVENT_BUDGET
        env["evaluation"] = int(self._evaluation)
        env["next_sample_s"] = (
            params["sample_period_s"] if self._num_samples and params["sample_period_s"] > 0 else math.inf
        )
        env["next_scrape_s"] = params["metrics_delay_s"] if params["metrics_delay_s"] > 0 else math.inf
        self._place(e)

    def _place(self, e: int) -> None:
        """Make the models of the initial placement RUNNING, without any load time."""
        view = self.state.visible
        for node, model in np.argwhere(self._placement):
            slot = int((view.engines[e, node]["status"] != schema.ENGINE_FREE).sum())
            engine = view.engines[e, node, slot]
            need = load_bytes(view, e, int(node), int(model))
            engine["model"] = model
            engine["status"] = schema.ENGINE_AWAKE
            view.slot_of[e, node, model] = slot
            take_hbm(self.state, e, int(node), slot, need)

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
            MaestroError: the snapshot is of a batch of another size.
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
        )
        self.state = snapshot
        self.state = self.snapshot()

    def fork(self) -> Simulation:
        """An independent batch that goes on from the same state, for what-if questions."""
        twin = object.__new__(Simulation)
        twin.__dict__ = {k: v if k in ("world", "state") else deepcopy(v) for k, v in self.__dict__.items()}
        twin.state = self.snapshot()
        return twin
