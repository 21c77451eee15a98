"""Small hand-made fleets and episodes on which a person can follow the simulator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import PREDICTION, STAGE, STAGE_HIDDEN, WORKFLOW, Episode


class Call:
    """One stage of a hand-made workflow."""

    def __init__(
        self,
        prompt: int,
        output: int,
        *,
        model: int = 0,
        parents: Sequence[int] = (),
        gap_s: float = 0.0,
        sys: tuple[int, int] = (-1, 0),
        ctx: tuple[int, int] = (-1, 0),
        predicted: float | None = None,
    ) -> None:
        self.prompt, self.output, self.model, self.parents, self.gap_s = prompt, output, model, tuple(parents), gap_s
        self.sys, self.ctx, self.predicted = sys, ctx, float(output if predicted is None else predicted)


def make_episode(
    workflows: Sequence[tuple[float, Sequence[Call]]], *, cls: int = 0, deadline_s: float = 60.0
) -> Episode:
    """An episode from (arrival, calls); parents are positions within the workflow."""
    flows, stages, hidden, predictions, children = [], [], [], [], []
    for number, (arrival_s, calls) in enumerate(workflows):
        first = len(stages)
        flow = np.zeros((), WORKFLOW)
        flow["arrival_s"], flow["deadline_s"], flow["ttft_limit_s"] = arrival_s, arrival_s + deadline_s, 3.0
        flow["weight"], flow["cls"], flow["first_stage"], flow["num_stages"] = 1.0, cls, first, len(calls)
        flows.append(flow)
        for position, call in enumerate(calls):
            stage, truth, guess = np.zeros((), STAGE), np.zeros((), STAGE_HIDDEN), np.zeros((), PREDICTION)
            stage["workflow"], stage["model"], stage["prompt_tokens"] = number, call.model, call.prompt
            stage["max_output_tokens"] = max(call.output, 512)
            stage["sys_group"], stage["sys_prefix_tokens"] = call.sys
            stage["ctx_group"], stage["ctx_prefix_tokens"] = call.ctx
            truth["output_tokens"], truth["tool_gap_s"], truth["num_parents"] = (
                call.output,
                call.gap_s,
                len(call.parents),
            )
            truth["child_start"] = len(children)
            kids = [first + k for k, other in enumerate(calls) if position in other.parents]
            truth["num_children"] = len(kids)
            children += kids
            guess["output_q50_tokens"] = guess["output_q90_tokens"] = call.predicted
            guess["remaining_s_q50"] = guess["remaining_s_q90"] = call.predicted
            stages.append(stage)
            hidden.append(truth)
            predictions.append(guess)
    return Episode(
        np.array(flows, WORKFLOW),
        np.array(stages, STAGE),
        np.array(hidden, STAGE_HIDDEN),
        np.array(predictions, PREDICTION),
        np.array(children, np.int64),
    )


@pytest.fixture(scope="session")
def toy() -> Scenario:
    """The toy scenario: two A100-80GB nodes, three deployments, constant lengths, an oracle predictor."""
    return Scenario.load(
        "toy",
        [
            "limits.api_s=0.0",
            "fleet.local_latency_s=0.0",
            "fleet.link_latency_s=0.0",
            "fleet.link_bytes_per_s=1.0e+30",
            "limits.growth_s=0.0",
        ],
    )


def run_hand_made(scenario: Scenario, episode: Episode, policy: str = "fcfs", **options: object) -> Simulation:
    """Run a hand-made episode to its end."""
    simulation = Simulation(scenario.world, evaluation=True, **options)  # type: ignore[arg-type]
    simulation.load(0, episode)
    run_until(open_engine(simulation, load_policy(policy, scenario)), 0, 0)
    return simulation
