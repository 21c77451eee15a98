"""What queueing theory knows of tools with finite places: Erlang C, M/D/1, shortest first, Little's law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import PREDICTION, STAGE, STAGE_HIDDEN, TOOL_SPEC, WORKFLOW, Episode
from tests.theory.test_queueing import TOKEN_S
from tests.theory.test_queueing import scenario as one_node

MEAN_S = 1000 * TOKEN_S
"""Mean time of a tool: so long that the steps before it, which shift arrivals a little, are nothing beside it."""


COUNT, RUNS = 100_000, 4


@dataclass(frozen=True)
class Calls:
    """Calls of one tool, in the order of asking [s]."""

    asked_s: np.ndarray
    started_s: np.ndarray
    service_s: np.ndarray

    @property
    def wait_s(self) -> np.ndarray:
        return self.started_s - self.asked_s


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """One node that serves any number of calls at once, in a step or two."""
    return one_node(1024, cost_by_tokens=False)


def with_places(scenario: Scenario, places: int) -> Scenario:
    tools = np.array([(places,)], TOOL_SPEC).view(np.recarray)
    scenario.world = scenario.world._replace(tools=tools, tool_of=np.zeros(1, np.int64))
    return scenario


def chains(arrivals_s: np.ndarray, service_s: np.ndarray) -> Episode:
    """Workflows of two calls of a token each, with a tool between them."""
    count = len(arrivals_s)
    flows, stages, hidden = np.zeros(count, WORKFLOW), np.zeros(2 * count, STAGE), np.zeros(2 * count, STAGE_HIDDEN)
    flows["arrival_s"], flows["deadline_s"], flows["weight"] = arrivals_s, arrivals_s + 1e9, 1.0
    flows["first_stage"], flows["num_stages"] = 2 * np.arange(count), 2
    stages["workflow"] = np.repeat(np.arange(count), 2)
    stages["prompt_tokens"], stages["max_output_tokens"] = 1, 1
    stages["sys_group"] = stages["ctx_group"] = -1
    hidden["output_tokens"] = 1
    hidden["num_parents"], hidden["num_children"] = np.tile([0, 1], count), np.tile([1, 0], count)
    hidden["child_start"] = np.repeat(np.arange(count), 2) + np.tile([0, 1], count)
    hidden["tool_gap_s"][::2], hidden["tool_intent"][::2] = service_s, 1
    predictions = np.zeros(2 * count, PREDICTION)
    predictions["output_q50_tokens"] = predictions["output_q90_tokens"] = 1.0
    predictions["future_s_q50"][::2] = service_s
    return Episode(flows, stages, hidden, predictions, 2 * np.arange(count) + 1)


def serve(
    scenario: Scenario, places: int, load: float, service_s: np.ndarray, seed: int, policy: str = "fcfs"
) -> Calls:
    """Poisson arrivals at a tool; both sample means are made exact, which takes most of the noise out."""
    gaps_s = np.random.default_rng((seed, 1)).exponential(size=len(service_s))
    gaps_s *= MEAN_S / (places * load) / gaps_s.mean()
    simulation = Simulation(with_places(scenario, places).world, evaluation=True)
    simulation.load(0, chains(np.cumsum(gaps_s), service_s))
    run_until(open_engine(simulation, load_policy(policy)), 0, 0)
    rows = simulation.state.visible.stages[0, : 2 * len(service_s) : 2]
    order = np.argsort(rows["finished_s"], kind="stable")
    return Calls(rows["finished_s"][order], rows["tool_started_s"][order], service_s[order])


def exponential_s(count: int, seed: int) -> np.ndarray:
    service_s = np.random.default_rng((seed, 2)).exponential(size=count)
    return MEAN_S * service_s / service_s.mean()


def erlang_c(places: int, load: float) -> float:
    """Probability that a call must wait in M/M/c (Erlang 1917), ``load`` of each place."""
    offered = places * load
    terms = [offered**k / math.factorial(k) for k in range(places)]
    last = offered**places / (math.factorial(places) * (1 - load))
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("places", "load"), [(1, 0.5), (3, 0.6)])
def test_calls_wait_as_erlang_says(scenario: Scenario, places: int, load: float) -> None:
    """M/M/c: the chance to wait is Erlang's C, the mean wait C / (c * mu * (1 - load)); both within 1 %."""
    runs = [serve(scenario, places, load, exponential_s(COUNT, seed), seed) for seed in range(RUNS)]
    waits_s = np.concatenate([run.wait_s for run in runs])
    chance = erlang_c(places, load)
    assert np.mean(waits_s > 1e-6) == pytest.approx(chance, rel=0.01)
    assert waits_s.mean() == pytest.approx(chance * MEAN_S / (places * (1 - load)), rel=0.01)


def test_equal_calls_wait_half_as_long(scenario: Scenario) -> None:
    """M/D/1: the mean wait is load * service / (2 * (1 - load)) (Pollaczek and Khinchine)."""
    runs = [serve(scenario, 1, 0.6, np.full(COUNT, MEAN_S), seed) for seed in range(RUNS)]
    expected_s = 0.6 * MEAN_S / (2 * 0.4)
    assert np.concatenate([run.wait_s for run in runs]).mean() == pytest.approx(expected_s, rel=0.01)


@pytest.mark.parametrize("places", [1, 3])
def test_littles_law_holds_at_the_tool(scenario: Scenario, places: int) -> None:
    """Calls present on average = their rate * their mean stay, exactly."""
    run = serve(scenario, places, 0.6, exponential_s(COUNT // 10, 7), 7)
    left_s = run.started_s + run.service_s
    moments = np.concatenate([run.asked_s, left_s])
    order = np.argsort(moments, kind="stable")
    present = np.cumsum(np.repeat([1, -1], len(left_s))[order])
    length_s = moments.max() - moments.min()
    mean_present = np.sum(present[:-1] * np.diff(moments[order])) / length_s
    rate = len(left_s) / length_s
    assert mean_present == pytest.approx(rate * np.mean(left_s - run.asked_s))
    # Never more at once than places; who leaves makes way at the same moment.
    moves = np.argsort(np.concatenate([left_s, run.started_s]), kind="stable")
    assert np.cumsum(np.repeat([-1, 1], len(left_s))[moves]).max() == places


def test_the_shortest_call_first_waits_as_phipps_says(scenario: Scenario) -> None:
    """M/G/1, shortest first, exact lengths: wait(x) = lambda E[S^2] / (2 (1 - lambda E[S; S < x])^2) (Phipps 1956)."""
    load = 0.6
    runs = [serve(scenario, 1, load, exponential_s(COUNT, seed), seed, "tool-srtf") for seed in range(RUNS)]
    lengths = np.linspace(0.0, 40.0, 400_001)  # in mean services, whose second moment is 2
    density = np.exp(-lengths)
    shorter = 1.0 - (1.0 + lengths) * density
    expected = np.trapezoid(density * load / (1.0 - load * shorter) ** 2, lengths)
    assert np.concatenate([run.wait_s for run in runs]).mean() == pytest.approx(expected * MEAN_S, rel=0.01)
