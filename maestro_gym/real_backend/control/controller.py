"""The live control loop: the same policies, the same decisions at the same boundaries, carried out on real servers.

The time is the run's own clock (real seconds since its start). Everything happens in one thread: the answers of the
servers move the fleet state (`moves`), the fleet state asks the policy, and its decisions are carried out. A stage that
became running is sent and a stage that was paused is aborted (`requests`); an engine that was promoted or demoted is
woken, started, put to sleep or stopped (`engines`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from pathlib import Path

from maestro_gym.baselines.registry import load_policy
from maestro_gym.real_backend.control import moves
from maestro_gym.real_backend.control.context import LiveContext
from maestro_gym.real_backend.control.decide import Agent, Answer
from maestro_gym.real_backend.control.engines import Engines
from maestro_gym.real_backend.control.event_log import EVENTS_FILE, EventLog, read_events
from maestro_gym.real_backend.control.opening import catch_up, check_same_scenario, meet_all, scenario_sha256, take_pool
from maestro_gym.real_backend.control.requests import Traffic
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.real_backend.control.sources import check_policy, field_sources
from maestro_gym.real_backend.control.state import FleetState
from maestro_gym.real_backend.fleet.local import make_launcher
from maestro_gym.real_backend.prometheus.live_metrics import LiveMetrics
from maestro_gym.real_backend.prometheus.metrics_port import metrics_port
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.prompts import Prompts
from maestro_gym.real_backend.vllm.server import Server
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import NO_TIER, TIER_NAMES, TIER_NODE
from maestro_gym.state import DONE_DRAINED, DONE_TIME

TICK_S = 0.05
"""The longest time for which streamed tokens wait before they are in the fleet state [s]."""

IDLE_S = 0.5
"""The longest pause of the loop while no request is under way [s]."""

_EXACT_S = 0.0005
FALLBACK_POLICY = "fcfs"
"""The policy that takes over when the acting one fails again and again."""


class Controller:
    """One live run of one policy.

    Attributes:
        settings: What the run is asked to do.
        policy: The policy that decides.
        episode: The workflows that arrive.
        servers: The servers of the fleet.
        fleet_state: The scheduler's state of the fleet; it exists from the moment on that every server was probed.
        traffic: The requests of the run; it exists from the same moment on.
        engines: The residency and the health of the servers; it exists from the same moment on.
        metrics: What Prometheus is told of the run.
        metrics_port: The port on which it is told while the run lasts; None when nothing is served.
    """

    fleet_state: FleetState
    traffic: Traffic
    engines: Engines

    def __init__(self, settings: RunSettings, policy: Policy, agent: Agent | None = None) -> None:
        """Prepare the run; nothing is sent yet.

        Args:
            settings: What the run is asked to do.
            policy: The policy that decides.
            agent: An agent that decides its tiers in place of the policy; the control loop waits for it.
        """
        self.settings, self.policy, self._agent = settings, policy, agent
        self.episode = settings.scenario.episode(settings.split, settings.seed, settings.index)
        self.servers: list[Server] = []
        self.metrics = LiveMetrics()
        self.metrics_port: int | None = None
        self._run: LiveContext | None = None

    @property
    def begun(self) -> bool:
        """Whether every server was probed and the clock runs."""
        return self._run is not None

    # --- the run -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the episode until all of it has finished, or until the cap of its drain time.

        Raises:
            MaestroError: A server does not answer at the start or serves another model, the run would start servers
                that are not plain vLLM and not trusted, the policy needs a field that nobody knows on real servers, or
                the port of the metrics cannot be had.
        """
        settings = self.settings
        with metrics_port(self.metrics.registry, settings.metrics_port, settings.metrics_host) as self.metrics_port:
            await self._open_and_loop()

    async def _open_and_loop(self) -> None:
        try:
            self._run = await self._open()
            self.metrics.begin(self._run)
            self.engines.watch_all()
            await self._loop(self._run)
        finally:
            self.metrics.end()
            if self._run is not None:
                await self._run.cancel_all()
                self._run.log.close()
            for server in self.servers:
                await server.client.close()

    async def _loop(self, run: LiveContext) -> None:
        # A controller that resumes a run late has the whole drain time before it.
        drain_s = self.settings.scenario.config.drain_s
        cap_s = max(float(self.fleet_state.simulation.world.params["drain_cap_s"][0]), run.offset_s + drain_s)
        while True:
            run.wake.clear()
            run.advance()
            self.traffic.show_progress()
            self._decide(run)
            if run.fatal is not None:
                raise run.fatal
            if self.fleet_state.drained or run.now_s >= cap_s:
                self.fleet_state.core.env["done"][0] = DONE_DRAINED if self.fleet_state.drained else DONE_TIME
                run.log.write("end", run.now_s, drained=self.fleet_state.drained)
                return
            most_s = TICK_S if self.traffic.waiting else IDLE_S
            pause_s = min(most_s, self.fleet_state.next_s() - run.now_s, cap_s - run.now_s)
            if pause_s > _EXACT_S:
                # Not wait_for: before Python 3.12 it can swallow a cancellation that meets the wake-up.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await run.wake.wait()
            else:
                await asyncio.sleep(0)

    # --- beginning -----------------------------------------------------------------------------

    async def _open(self) -> LiveContext:
        settings = self.settings
        fleet, scenario = settings.fleet, settings.scenario
        history = list(read_events(self._log_path)) if settings.resume else []
        if history:
            check_same_scenario(history[0], scenario, self._log_path)
        for row, node in enumerate(fleet.nodes):
            for engine in node.engines:
                model = fleet.model_names.index(engine.model)
                server = Server(row, model, node.name, engine, NodeClient(fleet, engine))
                server.wanted = engine.awake or engine.residency != "process"
                self.servers.append(server)
        launcher = None
        if any(server.engine.residency == "process" for server in self.servers):
            launcher = await asyncio.to_thread(make_launcher, fleet, lambda _: None, trust=settings.trust)
        await meet_all(self.servers)
        sources = field_sources([server.can for server in self.servers if server.wanted])
        for policy in (self.policy, settings.shadow):
            if policy is not None:
                check_policy(policy, sources, scenario)
        run_id = str(history[0]["run_id"]) if history else uuid.uuid4().hex[:10]
        self.fleet_state = FleetState(
            fleet,
            scenario,
            self.episode,
            self.policy,
            load_policy(FALLBACK_POLICY, scenario),
            shadow=settings.shadow,
            agent=self._agent,
            key=settings.seed,
            samples=settings.samples,
        )
        for server in self.servers:
            if self.fleet_state.awake(server.node, server.model):
                take_pool(self.fleet_state, server)
        offset_s, finishes = catch_up(self.fleet_state, history, self._log_path) if history else (0.0, {})
        log = EventLog(self._log_path, None if history else self._header(run_id))
        run = LiveContext(settings, self.episode, self.fleet_state, log, self.servers, run_id, offset_s=offset_s)
        if history:
            run.restarts = sum(event["event"] == "resume" for event in history)
            run.arrived = sum(event["event"] == "arrive" for event in history)
            log.write("resume", offset_s, finished=len(finishes))
        vocab = min(scenario.config.architectures[model.architecture].vocab for model in fleet.models)
        self.traffic = Traffic(run, Prompts(self.episode, vocab, int(run_id, 16) % 2**31), finishes)
        self.engines = Engines(run, self.traffic, launcher)
        run.began_s = time.monotonic()
        return run

    def _header(self, run_id: str) -> dict[str, object]:
        settings = self.settings
        return {
            "run_id": run_id,
            "policy": self.policy.name,
            "policy_spec": self.policy.spec,
            "scenario": settings.scenario.config.name,
            "scenario_sha256": scenario_sha256(settings.scenario),
            "split": settings.split,
            "seed": settings.seed,
            "index": settings.index,
            "started_unix_s": time.time(),
            "stages": len(self.episode.stages),
            "workflows": len(self.episode.workflows),
            "servers": {server.words: server.can.present for server in self.servers},
        }

    @property
    def _log_path(self) -> Path:
        return self.settings.folder / EVENTS_FILE

    # --- decisions -----------------------------------------------------------------------------

    def _decide(self, run: LiveContext) -> None:
        """Let every decision that is due be taken, and carry it out."""
        while True:
            self.engines.keep_still()
            tier = moves.next_tier(self.fleet_state.engine)
            if tier == NO_TIER:
                return
            clock = self.fleet_state.view.clock[0]
            place, stage = int(clock["place"]), int(clock["stage"])
            before = self.fleet_state.statuses(place) if tier == TIER_NODE else {}
            answer = self.fleet_state.policies.answer(tier)
            legal = moves.take_action(self.fleet_state.engine, answer.action)
            if not legal:
                self.fleet_state.policies.refused(answer)
            trouble = answer.trouble or ("" if legal else "illegal")
            self.metrics.decided(tier, answer, trouble)
            run.log.write(
                "decision",
                self.fleet_state.now_s,
                tier=TIER_NAMES[tier],
                place=place,
                stage=stage,
                action=answer.action,
                means=self.fleet_state.action_words(tier, answer.action),
                latency_s=round(answer.latency_s, 6),
                **_details(answer, trouble),
            )
            if tier == TIER_NODE:
                self.engines.follow(place, before)
                self.traffic.reconcile(place)
            else:
                # A stage that was sent reaches the queue of its node at this very instant.
                self.fleet_state.advance(self.fleet_state.now_s)


def _details(answer: Answer, trouble: str) -> dict[str, object]:
    """Return the details that are logged only when a decision is unusual."""
    details: dict[str, object] = {} if answer.shadow is None else {"shadow": answer.shadow}
    if trouble:
        details["trouble"] = trouble
    if trouble or answer.by != "policy":
        details["by"] = answer.by
    return details
