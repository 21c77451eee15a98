"""VTC against its bound and against the measurements of its authors (arXiv 2401.00588): two clients who want too much.

Their load: an A10G with Llama-2-7B, clients at 90 and 180 requests a minute, prompts and answers of 256 tokens. Their
pool of 10,000 tokens holds 19 such requests, hence the engine's limit. Over 360 s they measured a gap of service of 14
thousand weighted tokens, and of 156 to 205 thousand under FCFS.
"""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.tenants import service_gap_tokens
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.state import TENANT_SPEC, Episode
from tests.sim.conftest import Call, make_episode

OVERRIDES = [
    "fleet.clusters.solo.hosts=[{count: 1, host: gpu2-512, nodes: 1, gpu: A10G-24GB}]",
    "models=[{name: llama, architecture: Llama-2-7B, size_class: small}]",
    "workload={requests: {prompt_tokens: 256, output_tokens: 256}, rate_rps: 4.5}",
    "horizon_s=360",
    "drain_s=1",
    "limits.node_queue_limit=1",
    "limits.prefix_caching=false",
    "limits.max_num_seqs=19",
]
TOKENS = 256


@pytest.fixture(scope="module")
def a10g() -> Scenario:
    return with_tenants(Scenario.load("toy", OVERRIDES), (1.0, 1.0))


def with_tenants(scenario: Scenario, weights: tuple[float, ...]) -> Scenario:
    """The scenario with so many tenants, in place of the one of single requests."""
    tenants = np.zeros(len(weights), TENANT_SPEC)
    tenants["weight"], tenants["share"] = weights, np.array(weights) / sum(weights)
    tenants["quota_tokens_per_s"] = np.inf
    scenario.world = scenario.world._replace(tenants=tenants.view(np.recarray))
    return scenario


def requests(arrivals: list[tuple[float, int, int, int]]) -> Episode:
    """Single requests: arrival [s], tenant, prompt and answer [tokens]."""
    arrivals = sorted(arrivals)
    episode = make_episode([(at_s, [Call(prompt, output)]) for at_s, _, prompt, output in arrivals])
    episode.workflows["tenant"] = [tenant for _, tenant, _, _ in arrivals]
    return episode


def two_clients(per_minute: tuple[int, int] = (90, 180), seconds: float = 360.0) -> Episode:
    """The authors' load, evenly spaced."""
    return requests(
        [
            (number * 60.0 / rate + 0.001 * tenant, tenant, TOKENS, TOKENS)
            for tenant, rate in enumerate(per_minute)
            for number in range(int(seconds * rate / 60.0))
        ]
    )


def run(scenario: Scenario, policy: str, episode: Episode) -> EpisodeResult:
    return run_episode(scenario, load_policy(policy, scenario), episode=episode)


def most_running(result: EpisodeResult) -> int:
    """Requests that ran or stood in the node's queue, at most, at a time."""
    sent = np.sort(result.stages["sent_s"][np.isfinite(result.stages["sent_s"])])
    ended = np.sort(result.stages["finished_s"][np.isfinite(result.stages["finished_s"])])
    return int((np.arange(1, len(sent) + 1) - np.searchsorted(ended, sent, side="right")).max())


def test_on_the_authors_two_clients_vtc_with_predictions_has_a_tenth_of_the_gap_of_fcfs(a10g: Scenario) -> None:
    gaps, results = {}, {}
    for policy in ("vtc", "vtc-predict", "fcfs"):
        results[policy] = run(a10g, policy, two_clients())
        gaps[policy] = service_gap_tokens(outcome_of(results[policy]))
    stages = results["vtc"].stages
    waiting = (stages["admitted_s"] == np.inf) & (stages["ready_s"] < 360.0)
    owners = results["vtc"].workflows["tenant"][stages["workflow"]]
    assert min(np.bincount(owners[waiting], minlength=2)) > 20, "both clients want more than they get"
    assert gaps["vtc-predict"] <= gaps["fcfs"] / 10, gaps
    assert gaps["vtc"] <= gaps["fcfs"] / 7, "its counters know of an answer when it has arrived"
    assert gaps["fcfs"] == pytest.approx(180e3, rel=0.35), "the authors measured 156 to 205 thousand"


@pytest.mark.parametrize("seed", range(3))
def test_vtc_keeps_its_bound_between_two_backlogged_tenants_of_any_lengths(a10g: Scenario, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = [
        (0.0, tenant, int(rng.integers(16, 1000) if tenant else rng.integers(16, 100)), int(rng.integers(2, 300)))
        for tenant in (0, 1)
        for _ in range(400)
    ]
    result = run(a10g, "vtc", requests(wanted))
    prompts, answers = result.episode.stages["prompt_tokens"].max(), result.episode.hidden["output_tokens"].max()
    # Answers count when they end, so that a counter may lag by those of all that runs: the authors' bound is
    # 2 max(w_p * longest prompt, w_q * tokens of the batch), with the batch's answers twice.
    bound = 2 * (prompts + 2 * 2 * most_running(result) * answers)
    assert 0 < service_gap_tokens(outcome_of(result)) <= bound


def test_a_tenant_of_twice_the_weight_is_served_twice_as_much() -> None:
    scenario = with_tenants(Scenario.load("toy", OVERRIDES), (1.0, 2.0))
    result = run(scenario, "vtc-predict", two_clients((180, 180), 240.0))
    assert service_gap_tokens(outcome_of(result)) < 8000
    served = np.bincount(result.workflows["tenant"], np.isfinite(result.workflows["finished_s"]))
    assert served[1] / served[0] == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("policy", ["dlpm", "karma"])
def test_the_other_rules_of_fairness_close_the_gap_of_fcfs_too(a10g: Scenario, policy: str) -> None:
    fair, unfair = (service_gap_tokens(outcome_of(run(a10g, name, two_clients()))) for name in (policy, "fcfs"))
    assert fair < unfair / 4
