"""What the scheduler knows of a live fleet: the simulator's state, and the few reads and writes that Python needs."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.compile import interpreted
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control import moves
from maestro_gym.real_backend.control.decide import Agent, LivePolicies, open_policies
from maestro_gym.real_backend.fleet.as_scenario import usable_kv_tokens
from maestro_gym.real_backend.fleet.as_world import fleet_world, initial_placement, live_world
from maestro_gym.real_backend.vllm.capabilities import Capabilities
from maestro_gym.scheduling.actions import ACT_ADMIT, ACT_NAMES, ACT_WAIT, WAIT, node_act, sent_cluster, sent_stage
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL
from maestro_gym.sim.batch import Simulation
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, STAGE_RUNNING, Episode


class FleetState:
    """The simulator's state over the fleet of one live run.

    Attributes:
        simulation: The arrays of the state; only the view of them is shown to policies.
        view: The part of the state that policies see.
        core: The part of the state that keeps the run going.
        policies: The policies that decide on this state.
        engine: The boxed engine of the acting policy, which every function of ``moves`` takes.
        episode: The workflows that arrive.
        integrated_s: The time up to which busy time and KV use are summed up.
    """

    def __init__(
        self,
        fleet: LiveFleetConfig,
        scenario: Scenario,
        episode: Episode,
        policy: Policy,
        fallback: Policy,
        *,
        shadow: Policy | None = None,
        agent: Agent | None = None,
        key: int = 0,
        samples: int = 0,
    ) -> None:
        """Make the state in which a run begins.

        Args:
            fleet: The fleet file.
            scenario: The fleet as a scenario.
            episode: The workflows that will arrive.
            policy: The policy that acts.
            fallback: The policy that acts when the first one fails.
            shadow: A policy that is only asked.
            agent: An agent that decides its tiers in place of the policy.
            key: The seed of randomised rules.
            samples: The number of rows of the time series.
        """
        self.episode = episode
        world = live_world(fleet_world(scenario.world, fleet), fleet.client.scrape_s)
        self.simulation = Simulation(
            world,
            evaluation=True,
            num_samples=samples,
            log_residency=True,
            placement=initial_placement(fleet),
        )
        self.simulation.load(0, episode, key=key)
        self.view, _, self.core = self.simulation.state
        # Servers come and go by the size of their models, which the sets do not see.
        self.view.clock["indexed"] = 0
        self._weights = self.simulation.world.perf["weight_bytes"].copy()
        # Scrapes come from the servers, at times of their own.
        self.core.env["next_scrape_s"] = math.inf
        for node, model in self._not_served(fleet):
            self.view.host_models["tier"][0, self.simulation.world.nodes["host"][node], model] = 0
        self._put_sleepers(fleet)
        self.policies: LivePolicies = open_policies(self.simulation, policy, fallback, shadow, agent)
        self.engine = self.policies.engine
        self.integrated_s = 0.0

    def _not_served(self, fleet: LiveFleetConfig) -> list[tuple[int, int]]:
        """Return the pairs of a node and a model such that no node of the same host serves the model."""
        host = self.simulation.world.nodes["host"]
        served = self._weights < moves.NOT_SERVED_BYTES
        on_host = {(h, m) for n, h in enumerate(host) for m in range(len(fleet.models)) if served[n, m]}
        return [(n, m) for n, h in enumerate(host) for m in range(len(fleet.models)) if (h, m) not in on_host]

    def _put_sleepers(self, fleet: LiveFleetConfig) -> None:
        """Enter the engines that sleep when the run begins."""
        sleep_bytes = float(self.simulation.world.params["sleep_bytes"][0])
        for node, place in enumerate(fleet.nodes):
            for engine in place.engines:
                if engine.awake or engine.residency != "sleep":
                    continue
                model = fleet.model_names.index(engine.model)
                free = np.flatnonzero(self.view.engines["status"][0, node] == ENGINE_FREE)
                if not len(free):
                    raise MaestroError(f"node {place.name} has more engines than the state has slots for it")
                slot = int(free[0])
                self.view.engines["model"][0, node, slot] = model
                self.view.engines["status"][0, node, slot] = ENGINE_ASLEEP
                self.view.engines["slept_before"][0, node, slot] = 1
                self.view.slot_of[0, node, model] = slot
                self.view.nodes["weights_bytes"][0, node] += sleep_bytes
                self.core.env["weights_bytes"][0] += sleep_bytes

    # --- reads ---------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """The time to which the state has been advanced [s]."""
        return float(self.view.clock["now_s"][0])

    @property
    def drained(self) -> bool:
        """Whether every workflow is finished."""
        return int(self.core.counters["finished"][0]) == int(self.core.env["num_workflows"][0])

    def next_s(self) -> float:
        """Return the time of the next event that the state knows of."""
        env = self.core.env[0]
        waits_s = float(self.core.waits_s[0].min())
        return min(float(env["global_wait_until_s"]), float(env["next_sample_s"]), waits_s, self._next_change_s())

    def _next_change_s(self) -> float:
        """Return the time of the next arrival or end of a tool gap."""
        env = self.core.env[0]
        times = [math.inf]
        if env["heap_len"] > 0:
            times.append(float(self.core.heap_s[0, 0]))
        if env["arrival_next"] < env["num_workflows"]:
            times.append(float(self.episode.workflows["arrival_s"][env["arrival_next"]]))
        return min(times)

    def statuses(self, node: int) -> dict[int, int]:
        """Return the status of every model that has an engine on a node."""
        rows = self.view.engines[0, node]
        return {int(row["model"]): int(row["status"]) for row in rows if row["status"] != ENGINE_FREE}

    def running(self, node: int, model: int | None = None) -> list[int]:
        """Return the admitted stages of a node, or of one of its engines, in the order of their admission."""
        stages: list[int] = []
        for slot, row in enumerate(self.view.engines[0, node]):
            if row["status"] == ENGINE_AWAKE and model in (None, int(row["model"])):
                stages += self.view.batch[0, node, slot, : row["running"]].tolist()
        return stages

    def queued(self, node: int, model: int) -> list[int]:
        """Return the stages of a model that wait at a node."""
        waiting = self.view.node_queue[0, node, : self.view.nodes["queue_len"][0, node]].tolist()
        return [stage for stage in waiting if self.view.stages["model"][0, stage] == model]

    def is_running(self, stage: int) -> bool:
        """Say whether a stage is admitted."""
        return int(self.view.stages["phase"][0, stage]) == STAGE_RUNNING

    def awake(self, node: int, model: int) -> bool:
        """Say whether a model is RUNNING on a node."""
        return self.statuses(node).get(model) == ENGINE_AWAKE

    def told(self, stage: int) -> dict[str, float | int]:
        """Return the node and the times of a stage, for the log."""
        record = self.view.stages[0, stage]
        names = ("ready_s", "sent_s", "queued_s", "admitted_s", "first_token_s")
        return {name: float(record[name]) for name in names} | {"node": int(record["node"])}

    def action_words(self, tier: int, action: int) -> str:
        """Write an action as words, for the log."""
        if action == WAIT and tier != TIER_CLUSTER:
            return ACT_NAMES[ACT_WAIT]
        if tier == TIER_GLOBAL:
            stage, cluster = (interpreted(part)(self.view, action) for part in (sent_stage, sent_cluster))
            return f"send stage {stage} to cluster {cluster}"
        if tier == TIER_CLUSTER:
            return f"node {action}"
        kind, subject, level = interpreted(node_act)(self.view, action)
        what = f"place {subject} at level {level}" if kind == ACT_ADMIT else f"model {subject}"
        return f"{ACT_NAMES[kind]} {what}"

    # --- writes --------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Advance the state to a time.

        The integrals that the simulator takes from its steps follow from what is known here: engines with work are
        busy, and the metrics page says how much KV is mapped.
        """
        elapsed_s = max(0.0, now_s - self.integrated_s)
        if elapsed_s > 0.0:
            engines = self.view.engines[0]
            self.core.counters["busy_s"][0] += elapsed_s * int((engines["running"] > 0).sum())
            own = engines["kv_used_bytes"] - engines["kv_cached_bytes"] - engines["kv_pinned_bytes"]
            self.core.counters["kv_used_byte_s"][0] += elapsed_s * float(np.maximum(own, 0.0).sum())
            self.integrated_s = now_s
        # An event in between happened at its own time, not when it is noticed: waiting counts from then on.
        while (time_s := self._next_change_s()) < now_s:
            moves.advance_to(self.engine, time_s)
        moves.advance_to(self.engine, now_s)

    def keep_still(self, fixed: list[tuple[int, int]]) -> None:
        """Make promotion and demotion of some engines illegal, by noting that their residency has just changed."""
        for node, model in fixed:
            self.view.changed_s[0, node, model] = self.now_s

    def set_pool(self, node: int, model: int, can: Capabilities) -> float:
        """Take over the KV pool that a server reports.

        Args:
            node: The node of the server.
            model: The model that it serves.
            can: What the server reports of itself.

        Returns:
            The number of tokens that may be reserved; the old one when the server reports none.
        """
        slot = int(self.view.slot_of[0, node, model])
        unit = float(self.simulation.world.perf["kv_bytes_per_token"][node, model])
        had = float(self.view.engines["kv_pool_bytes"][0, node, slot])
        if can.kv_tokens is None or can.block_tokens is None:
            return had / unit
        most = int(self.simulation.world.params["max_num_seqs"][0])
        pool = usable_kv_tokens(can.kv_tokens, can.block_tokens, most) * unit
        self.view.engines["kv_pool_bytes"][0, node, slot] = pool
        self.view.nodes["kv_pool_bytes"][0, node] += pool - had
        return pool / unit

    def set_used(self, node: int, model: int, used_bytes: float) -> None:
        """Write an engine's mapped KV as a scrape gave it; the unreferenced cached blocks in it are an estimate."""
        slot = int(self.view.slot_of[0, node, model])
        if slot >= 0:
            engine = self.view.engines[0, node, slot]
            engine["kv_used_bytes"] = used_bytes + engine["kv_cached_bytes"]
            self.view.nodes["kv_used_bytes"][0, node] = self.view.engines["kv_used_bytes"][0, node].sum()

    def mark_down(self, node: int, model: int) -> None:
        """Note that a server is gone and its engine dropped, so that masks keep stages away."""
        self.simulation.world.perf["weight_bytes"][node, model] = moves.DOWN_BYTES

    def mark_up(self, node: int, model: int) -> None:
        """Note that a server answers again."""
        self.simulation.world.perf["weight_bytes"][node, model] = self._weights[node, model]
