"""One environment whose episodes run on real servers: the agent's side of a live control loop.

The control loop has a thread of its own. At a decision of the agent's tier it writes the observation, hands it over and
stands still until the answer is there, so that an action is applied to exactly the state that was seen. Servers and
tools do not wait: what they did meanwhile is in the next observation.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.core.errors import ArgumentValueError, MaestroError
from maestro_gym.envs.batch.agent_batch import AgentBatch, EnvOptions
from maestro_gym.envs.batch.buffers import BEGIN, open_runner
from maestro_gym.envs.batch.kernel import choose_alone, show_alone, step_one
from maestro_gym.envs.batch.own_rule import answered_by, own_answers
from maestro_gym.envs.scenario_source import ScenarioLike
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.scheduling.tiers import NO_TIER
from maestro_gym.state import DONE_NO, DONE_TIME, Episode, State
from maestro_gym.workloads import fold_seed

_STOP = object()
_NOT_BEGUN = "No episode has begun on these servers: call reset()."


@dataclass(frozen=True)
class LiveEnvOptions(EnvOptions):
    """The arguments of every live environment: those of the simulated ones, and the servers.

    Attributes:
        fleet: A name in ``configs/live``, the path of a fleet file, or the fleet itself; its servers must be up.
        scenario: A scenario of this fleet, such as ``simulated.yaml`` of a validation; None takes the fleet's own with
            the workload that is made for live runs.
        folder: The folder that gets the event log of every episode; None takes a new one below ``runs/live``.
        trust: Whether servers that an episode itself starts may be something else than plain vLLM (docs/security.md).
    """

    fleet: str | LiveFleetConfig = "local_cpu"
    scenario: ScenarioLike | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    folder: Path | str | None = None
    trust: bool = False


class LiveBatch(AgentBatch):
    """One environment over one fleet; see `AgentBatch`.

    Attributes:
        fleet: The fleet whose servers are used.
        folder: The folder of the event logs.
        controller: The controller of the episode that is under way, or of the last one.
    """

    def __init__(self, tier: str, options: LiveEnvOptions) -> None:
        """Prepare; servers are asked when an episode begins.

        Args:
            tier: A name of `layout.TIER_SPECS`.
            options: The arguments of the environment.

        Raises:
            MaestroError: The fleet and the scenario do not fit together.
        """
        self.fleet = load_fleet(options.fleet) if isinstance(options.fleet, str) else options.fleet
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}"
        self.folder = Path(options.folder) if options.folder is not None else Path("runs") / "live" / stamp
        source: Any = options.scenario
        if source is None:
            source = write_scenario(scenario_document(self.fleet), self.folder / "scenario.yaml")
        if options.compare_with is not None:
            raise ArgumentValueError(
                "compare_with plays the same episode in the simulator, which is not the fleet; leave it out here."
            )
        super().__init__(tier, replace(options, scenario=source), 1)
        _check_names(self.fleet, self.scenario.node_names, self.scenario.model_names)
        self._trust = options.trust
        self.controller: Controller | None = None
        self._live: _LiveEpisode | None = None
        self._runs = 0

    @property
    def state(self) -> State:
        """The arrays of the controller's fleet state.

        Raises:
            MaestroError: No episode has begun.
        """
        if self._live is None or self._live.state is None:
            raise MaestroError(_NOT_BEGUN)
        return self._live.state

    def episode(self, e: int) -> Episode:
        """See `AgentBatch.episode`."""
        if self.controller is None:
            raise MaestroError(_NOT_BEGUN)
        return self.controller.episode

    def begin(self, e: int, seed: int | None = None) -> None:
        """Begin the next episode on the servers; see `AgentBatch.begin`.

        Raises:
            MaestroError: A server does not answer, or the episode asks nothing of the agent.
        """
        self.close()
        if seed is not None:
            self.seeds[e] = fold_seed(seed)
            self.episodes[e] = -1
        self.episodes[e] += 1
        index = int(self.episodes[e])
        # The folder carries a number, because a seed may be begun again.
        self._runs += 1
        folder = self.folder / f"{self._runs:04d}-seed-{int(self.seeds[e])}-episode-{index}"
        settings = RunSettings(
            self.fleet, self.scenario, folder, self.options.split, int(self.seeds[e]), index, trust=self._trust
        )
        self.buffers.actions[e] = BEGIN
        self._live = _LiveEpisode(self)
        self.controller = Controller(settings, self.policy, self._live)
        if self._live.start(self.controller) != DONE_NO:
            raise MaestroError(
                f"{folder}: the episode ended before the agent's first decision. Raise horizon_s "
                f"({self.scenario.config.horizon_s:g} s) or the load."
            )

    def _move(self) -> None:
        if self._live is None:
            raise MaestroError(_NOT_BEGUN)
        self._live.step()

    def own_answers(self) -> np.ndarray:
        """See `AgentBatch.own_answers`."""
        answers = np.empty(1, np.int64)
        if self._live is None:
            raise MaestroError(_NOT_BEGUN)
        own_answers(self._live.runner, answers, answered_by(self.policy), 0, 1)
        return answers

    def close(self) -> None:
        """End the episode that is under way, and abort the requests that are still running."""
        if self._live is not None:
            self._live.stop()


class _LiveEpisode:
    """One episode in a thread of its own: a `decide.Agent` for its control loop, and a step for the environment."""

    def __init__(self, batch: LiveBatch) -> None:
        self._batch = batch
        self.tiers = int(batch.layout.record[0]["tiers"])
        self.runner: Any = None
        self.state: State | None = None
        self._shown: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # --- called by the environment -------------------------------------------------------------

    def start(self, controller: Controller) -> int:
        """Start the run; return why it is over already, or DONE_NO when it waits for the agent."""
        self._thread = threading.Thread(target=self._run, args=(controller,), name="maestro-live", daemon=True)
        self._thread.start()
        return self._next()

    def step(self) -> int:
        """Let the run go on with ``buffers.actions`` up to the agent's next decision; return as ``start`` does."""
        self._answered.put(None)
        return self._next()

    def stop(self) -> None:
        """End the run, wherever it stands."""
        if self._thread is not None and self._thread.is_alive():
            self._answered.put(_STOP)
            self._thread.join()

    def _next(self) -> int:
        shown = self._shown.get()
        if isinstance(shown, BaseException):
            raise shown
        return shown

    # --- called by the control loop ------------------------------------------------------------

    def open(self, engine: Any, state: State) -> None:  # noqa: ANN401 - a box
        self.state = state
        self.runner = open_runner(engine, self._batch.layout, self._batch.buffers, step_one)
        # This zeroes the values that the reward counts from.
        choose_alone(self.runner, 0)

    def decide(self, tier: int) -> int:
        self._shown.put(show_alone(self.runner, 0, tier))
        if self._answered.get() is _STOP:
            raise asyncio.CancelledError
        return choose_alone(self.runner, 0)

    def refused(self) -> None:
        self._batch.buffers.outcome["invalid"][0] = 1

    def _run(self, controller: Controller) -> None:
        try:
            asyncio.run(controller.run())
        except asyncio.CancelledError:
            return
        except BaseException as error:
            self._shown.put(error)
            return
        if not self._batch.options.evaluation:
            # A training episode is truncated at its horizon, even if the fleet happened to drain.
            controller.fleet_state.core.env["done"][0] = DONE_TIME
        self._shown.put(show_alone(self.runner, 0, NO_TIER))


def _check_names(fleet: LiveFleetConfig, nodes: Sequence[str], models: Sequence[str]) -> None:
    if len(nodes) != len(fleet.nodes) or list(models) != list(fleet.model_names):
        raise MaestroError(
            f"The scenario has {len(nodes)} nodes and the models {', '.join(models)}; fleet {fleet.name} has "
            f"{len(fleet.nodes)} nodes and {', '.join(fleet.model_names)}. Pass a scenario of this fleet, such as "
            "simulated.yaml of a validation, or none."
        )
