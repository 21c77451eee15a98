"""The controller's books: the simulator's state over a live fleet, and the few looks at it that Python needs."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.compile import interpreted
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control import moves as ledger
from maestro_gym.real_backend.control.decide import Agent, Deciders, open_deciders
from maestro_gym.real_backend.fleet.as_scenario import usable_kv_tokens
from maestro_gym.real_backend.fleet.as_world import fleet_world, initial_placement, live_world
from maestro_gym.real_backend.vllm.capabilities import Capabilities
from maestro_gym.scheduling.actions import ACT_ADMIT, ACT_NAMES, ACT_WAIT, WAIT, node_act, sent_cluster, sent_stage
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL
from maestro_gym.sim.batch import Simulation
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, STAGE_RUNNING, Episode


class Books:
    """Accounts of one live run.

    Attributes:
        simulation: The state; only its view is shown to policies.
        deciders: Who answers.
        episode: What is asked for.
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
        """Open the books.

        Args:
            fleet: The fleet file.
            scenario: The fleet as a scenario.
            episode: What will arrive.
            policy: Who acts.
            fallback: Who acts when that fails.
            shadow: Who is only asked.
            agent: Who decides its tiers in the place of the policy.
            key: Seed of randomised rules.
            samples: Rows of the time series.
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
        self._weights = self.simulation.world.perf["weight_bytes"].copy()
        # Scrapes come from servers, at their own times.
        self.core.env["next_scrape_s"] = math.inf
        for node, model in self._not_served(fleet):
            self.view.host_models["tier"][0, self.simulation.world.nodes["host"][node], model] = 0
        self._put_sleepers(fleet)
        self.deciders: Deciders = open_deciders(self.simulation, policy, fallback, shadow, agent)
        self.engine = self.deciders.books
        self.integrated_s = 0.0

    def _not_served(self, fleet: LiveFleetConfig) -> list[tuple[int, int]]:
        """Pairs of a node and a model that no node of its host serves."""
        host = self.simulation.world.nodes["host"]
        served = self._weights < ledger.NOT_SERVED_BYTES
        on_host = {(h, m) for n, h in enumerate(host) for m in range(len(fleet.models)) if served[n, m]}
        return [(n, m) for n, h in enumerate(host) for m in range(len(fleet.models)) if (h, m) not in on_host]

    def _put_sleepers(self, fleet: LiveFleetConfig) -> None:
        """Engines that sleep when the run begins."""
        sleep_bytes = float(self.simulation.world.params["sleep_bytes"][0])
        for node, place in enumerate(fleet.nodes):
            for engine in place.engines:
                if engine.awake or engine.residency != "sleep":
                    continue
                model = fleet.model_names.index(engine.model)
                free = np.flatnonzero(self.view.engines["status"][0, node] == ENGINE_FREE)
                if not len(free):
                    raise MaestroError(f"node {place.name} has more engines than the books have slots for it")
                slot = int(free[0])
                self.view.engines["model"][0, node, slot] = model
                self.view.engines["status"][0, node, slot] = ENGINE_ASLEEP
                self.view.engines["slept_before"][0, node, slot] = 1
                self.view.slot_of[0, node, model] = slot
                self.view.nodes["weights_bytes"][0, node] += sleep_bytes
                self.core.env["weights_bytes"][0] += sleep_bytes

    # --- looks ---------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Time up to which the books are kept."""
        return float(self.view.clock["now_s"][0])

    @property
    def drained(self) -> bool:
        """Whether every workflow is finished."""
        return int(self.core.counters["finished"][0]) == int(self.core.env["num_workflows"][0])

    def next_s(self) -> float:
        """Time of the next event that the books know of."""
        env = self.core.env[0]
        waits_s = float(self.core.nodes["wait_until_s"][0].min())
        return min(float(env["global_wait_until_s"]), float(env["next_sample_s"]), waits_s, self._next_change_s())

    def _next_change_s(self) -> float:
        """Time of the next arrival, or end of a tool gap."""
        env = self.core.env[0]
        times = [math.inf]
        if env["heap_len"] > 0:
            times.append(float(self.core.heap_s[0, 0]))
        if env["arrival_next"] < env["num_workflows"]:
            times.append(float(self.episode.workflows["arrival_s"][env["arrival_next"]]))
        return min(times)

    def statuses(self, node: int) -> dict[int, int]:
        """Status of every model that has an engine on a node."""
        rows = self.view.engines[0, node]
        return {int(row["model"]): int(row["status"]) for row in rows if row["status"] != ENGINE_FREE}

    def running(self, node: int, model: int | None = None) -> list[int]:
        """Admitted stages of a node, or of one of its engines, in order of admission."""
        stages: list[int] = []
        for slot, row in enumerate(self.view.engines[0, node]):
            if row["status"] == ENGINE_AWAKE and model in (None, int(row["model"])):
                stages += self.view.batch[0, node, slot, : row["running"]].tolist()
        return stages

    def queued(self, node: int, model: int) -> list[int]:
        """Stages of a model that wait at a node."""
        waiting = self.view.node_queue[0, node, : self.view.nodes["queue_len"][0, node]].tolist()
        return [stage for stage in waiting if self.view.stages["model"][0, stage] == model]

    def is_running(self, stage: int) -> bool:
        """Whether a stage is admitted."""
        return int(self.view.stages["phase"][0, stage]) == STAGE_RUNNING

    def awake(self, node: int, model: int) -> bool:
        """Whether a model is RUNNING on a node."""
        return self.statuses(node).get(model) == ENGINE_AWAKE

    def told(self, stage: int) -> dict[str, float | int]:
        """Where and when of a stage, for the log."""
        record = self.view.stages[0, stage]
        names = ("ready_s", "sent_s", "queued_s", "admitted_s", "first_token_s")
        return {name: float(record[name]) for name in names} | {"node": int(record["node"])}

    def action_words(self, tier: int, action: int) -> str:
        """An action as words, for the log."""
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

    # --- changes -------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Bring the books up to a time.

        Integrals that the simulator takes from its steps follow from what is known here: engines with work are busy,
        and the metrics page says how much KV is mapped.
        """
        elapsed_s = max(0.0, now_s - self.integrated_s)
        if elapsed_s > 0.0:
            engines = self.view.engines[0]
            self.core.counters["busy_s"][0] += elapsed_s * int((engines["running"] > 0).sum())
            own = engines["kv_used_bytes"] - engines["kv_cached_bytes"] - engines["kv_pinned_bytes"]
            self.core.counters["kv_used_byte_s"][0] += elapsed_s * float(np.maximum(own, 0.0).sum())
            self.integrated_s = now_s
        # What happened meanwhile happened at its own time, not when it is noticed: waiting counts from there.
        while (time_s := self._next_change_s()) < now_s:
            ledger.advance_to(self.engine, time_s)
        ledger.advance_to(self.engine, now_s)

    def keep_still(self, fixed: list[tuple[int, int]]) -> None:
        """Mask promotion and demotion of engines that cannot move: their residency has just changed, the books say."""
        for node, model in fixed:
            self.view.changed_s[0, node, model] = self.now_s

    def set_pool(self, node: int, model: int, can: Capabilities) -> float:
        """Take over the KV pool that a server says it has.

        Args:
            node: Where.
            model: Which.
            can: What the server told.

        Returns:
            Tokens that may be reserved; unchanged when it told nothing.
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
        """Write what a scrape told of an engine's mapped KV; unreferenced cached blocks are the books' estimate."""
        slot = int(self.view.slot_of[0, node, model])
        if slot >= 0:
            engine = self.view.engines[0, node, slot]
            engine["kv_used_bytes"] = used_bytes + engine["kv_cached_bytes"]
            self.view.nodes["kv_used_bytes"][0, node] = self.view.engines["kv_used_bytes"][0, node].sum()

    def mark_down(self, node: int, model: int) -> None:
        """A server is gone, its engine dropped: masks keep stages away."""
        self.simulation.world.perf["weight_bytes"][node, model] = ledger.DOWN_BYTES

    def mark_up(self, node: int, model: int) -> None:
        """A server is back."""
        self.simulation.world.perf["weight_bytes"][node, model] = self._weights[node, model]
