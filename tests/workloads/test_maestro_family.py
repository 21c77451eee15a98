from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import BATCH, INTERACTIVE, Episode
from maestro_gym.workloads import (
    SPLITS,
    Deployments,
    FamilyWorkload,
    episode_key,
    load_family,
    make_deployments,
    unit_service,
)


@pytest.fixture(scope="module")
def episode(maestro: FamilyWorkload, service: np.ndarray) -> Episode:
    return maestro.episode(episode_key("train", 0, 0), rate_rps=5.0, horizon_s=400.0, service=service)


def _edges(episode: Episode) -> list[tuple[int, int]]:
    hidden = episode.hidden
    return [
        (s, int(c))
        for s in range(len(hidden))
        for c in episode.children[hidden["child_start"][s] : hidden["child_start"][s] + hidden["num_children"][s]]
    ]


def test_stages_are_contiguous_parents_come_first_and_counts_agree(episode: Episode) -> None:
    workflows, stages, hidden = episode.workflows, episode.stages, episode.hidden
    assert np.array_equal(np.repeat(np.arange(len(workflows)), workflows["num_stages"]), stages["workflow"])
    assert np.array_equal(workflows["first_stage"], np.cumsum(workflows["num_stages"]) - workflows["num_stages"])
    edges = np.array(_edges(episode))
    assert np.all(edges[:, 0] < edges[:, 1])
    assert np.all(stages["workflow"][edges[:, 0]] == stages["workflow"][edges[:, 1]])
    assert np.array_equal(np.bincount(edges[:, 1], minlength=len(stages)), hidden["num_parents"])
    assert len(np.unique(edges, axis=0)) == len(edges)


def test_depth_is_the_longest_path_from_a_root(episode: Episode) -> None:
    depth = np.zeros(len(episode.stages), int)
    for parent, child in _edges(episode):
        depth[child] = max(depth[child], depth[parent] + 1)
    assert np.array_equal(depth, episode.stages["depth"])


def test_an_invocation_counts_the_calls_of_its_role_that_came_before(episode: Episode) -> None:
    ancestors: list[set[int]] = [set() for _ in episode.stages]
    for parent, child in sorted(_edges(episode), key=lambda edge: edge[1]):
        ancestors[child] |= {parent} | ancestors[parent]
    role = episode.stages["role"]
    counted = [sum(role[a] == role[s] for a in before) for s, before in enumerate(ancestors)]
    assert counted == episode.stages["invocation_index"].tolist()


def test_remaining_time_is_the_longest_path_of_service_and_gaps(episode: Episode, service: np.ndarray) -> None:
    stages, hidden = episode.stages, episode.hidden
    row = service[stages["model"]]
    own_s = row["prefill_base_s"] + row["prefill_s_per_token"] * stages["prompt_tokens"]
    remaining_s = own_s + row["decode_s_per_token"] * hidden["output_tokens"] + hidden["tool_gap_s"]
    descendants: list[set[int]] = [set() for _ in stages]
    for parent, child in reversed(_edges(episode)):
        descendants[parent] |= {child} | descendants[child]
    for s in range(len(stages) - 1, -1, -1):
        start = hidden["child_start"][s]
        children = episode.children[start : start + hidden["num_children"][s]]
        remaining_s[s] += max((remaining_s[c] for c in children), default=0.0)
    assert remaining_s == pytest.approx(hidden["remaining_s"])
    assert [len(d) for d in descendants] == hidden["remaining_calls"].tolist()


def test_lengths_are_possible(episode: Episode) -> None:
    stages, hidden = episode.stages, episode.hidden
    assert np.all(stages["prompt_tokens"] >= 1)
    assert np.all(hidden["output_tokens"] >= 1)
    assert np.all(hidden["output_tokens"] <= stages["max_output_tokens"])
    assert np.all(stages["prompt_tokens"] + stages["max_output_tokens"] <= 32768)
    assert np.all(stages["sys_prefix_tokens"] <= stages["prompt_tokens"])
    assert np.all(stages["ctx_prefix_tokens"] <= stages["prompt_tokens"])
    assert set(np.unique(stages["max_output_tokens"])) <= {512, 1024, 2048, 4096}


def test_a_tool_gap_needs_a_tool_call_and_somebody_who_waits(episode: Episode) -> None:
    gap = episode.hidden["tool_gap_s"] > 0
    assert gap.any()
    assert np.all(episode.hidden["tool_intent"][gap] == 1)
    assert np.all(episode.hidden["num_children"][gap] > 0)


def test_a_context_group_belongs_to_one_deployment_and_only_grows(episode: Episode) -> None:
    stages, hidden = episode.stages, episode.hidden
    assert set(stages["sys_group"]).isdisjoint(set(stages["ctx_group"]))
    for group in np.unique(stages["ctx_group"])[:400]:
        members = np.flatnonzero(stages["ctx_group"] == group)
        assert len(set(zip(stages["model"][members], stages["workflow"][members], strict=True))) == 1
        held = stages["prompt_tokens"][members] + hidden["output_tokens"][members]
        assert stages["ctx_prefix_tokens"][members[0]] == 0
        assert np.array_equal(stages["ctx_prefix_tokens"][members[1:]], held[:-1])


def test_a_stage_follows_all_earlier_stages_of_its_context(episode: Episode) -> None:
    ancestors: list[set[int]] = [set() for _ in episode.stages]
    for parent, child in sorted(_edges(episode), key=lambda edge: edge[1]):
        ancestors[child] |= {parent} | ancestors[parent]
    last: dict[int, int] = {}
    for s, group in enumerate(episode.stages["ctx_group"]):
        if group in last:
            assert last[group] in ancestors[s]
        last[group] = s


def test_there_are_nine_applications_of_both_classes_with_constant_limits(episode: Episode) -> None:
    workflows = episode.workflows
    assert len(np.unique(workflows["application"])) == 9
    assert set(workflows["cls"]) == {INTERACTIVE, BATCH}
    for application in range(9):
        mine = workflows[workflows["application"] == application]
        assert np.ptp(mine["deadline_s"] - mine["arrival_s"]) < 1e-9
        assert len(set(mine["ttft_limit_s"])) == len(set(mine["cls"])) == 1


def test_a_workflow_makes_three_calls_on_average_as_in_the_paper(maestro: FamilyWorkload) -> None:
    assert maestro.mix().calls_per_workflow == pytest.approx(144_524 / 46_769, abs=0.05)


def test_outputs_are_bimodal(episode: Episode) -> None:
    output, tool = episode.hidden["output_tokens"], episode.hidden["tool_intent"] == 1
    assert 15 < np.median(output[tool]) < 100
    assert 200 < np.median(output[~tool & (episode.stages["max_output_tokens"] > 512)]) < 2000
    assert np.quantile(output, 0.95) > 1000


def test_fan_outs_and_joins_occur(episode: Episode) -> None:
    assert episode.hidden["num_children"].max() >= 4
    assert episode.hidden["num_parents"].max() >= 4


def test_deployments_get_the_share_of_calls_that_their_popularity_says(
    maestro: FamilyWorkload, deployments: Deployments
) -> None:
    assert maestro.mix().model_share == pytest.approx(deployments.popularity, abs=0.012)


def test_roles_prefer_deployments_of_their_size() -> None:
    even = make_deployments(("s", "m", "l"), [1, 1, 1], ["small", "medium", "large"], [32768] * 3)
    choice = FamilyWorkload("maestro", load_family("maestro"), even).choice
    assert np.array_equal(np.argmax(choice, axis=1), [0, 1, 2])


def test_popularity_is_met_even_when_a_size_is_missing() -> None:
    lopsided = make_deployments(("a", "b"), [9, 1], ["small", "small"], [32768] * 2)
    shares = FamilyWorkload("maestro", load_family("maestro"), lopsided).mix().model_share
    assert shares == pytest.approx([0.9, 0.1], abs=0.012)


def test_the_same_key_gives_the_same_episode(maestro: FamilyWorkload, service: np.ndarray) -> None:
    once, again = (maestro.episode(99, 3.0, 100.0, service) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_what_was_made_before_does_not_matter(
    maestro: FamilyWorkload, deployments: Deployments, service: np.ndarray
) -> None:
    first = maestro.episode(12, 3.0, 100.0, service)
    fresh = FamilyWorkload("maestro", load_family("maestro"), deployments)
    for key in (5, 6, 7):
        fresh.episode(key, 3.0, 50.0, service)
    assert np.array_equal(first.stages, fresh.episode(12, 3.0, 100.0, service).stages)


def test_a_longer_horizon_only_adds_workflows(maestro: FamilyWorkload, service: np.ndarray) -> None:
    short, long = (maestro.episode(4, 3.0, horizon_s, service) for horizon_s in (60.0, 120.0))
    assert np.array_equal(short.workflows, long.workflows[: len(short.workflows)])
    assert np.array_equal(short.stages, long.stages[: len(short.stages)])


def test_splits_seeds_and_indices_never_share_a_key() -> None:
    keys = [episode_key(split, seed, index) for split in SPLITS for seed in range(40) for index in range(40)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("split", "seed", "index"), [("dev", 0, 0), ("test", -1, 0), ("test", 0, 2**31)])
def test_a_key_that_cannot_be_is_refused(split: str, seed: int, index: int) -> None:
    with pytest.raises(MaestroError):
        episode_key(split, seed, index)


def test_the_time_scale_stretches_limits_and_gaps(deployments: Deployments, service: np.ndarray) -> None:
    spec = load_family("maestro")
    plain, slow = (
        FamilyWorkload("maestro", spec, deployments, time_scale=scale).episode(3, 3.0, 60.0, service)
        for scale in (1.0, 4.0)
    )
    assert slow.hidden["tool_gap_s"] == pytest.approx(4 * plain.hidden["tool_gap_s"])
    assert slow.workflows["ttft_limit_s"] == pytest.approx(4 * plain.workflows["ttft_limit_s"])


def test_tenants_are_spread_over_the_clusters(deployments: Deployments, service: np.ndarray) -> None:
    made = FamilyWorkload("maestro", load_family("maestro"), deployments, num_clusters=3)
    workflows = made.episode(3, 5.0, 100.0, service).workflows
    assert np.array_equal(workflows["ingress_cluster"], workflows["tenant"] % 3)
    assert set(workflows["ingress_cluster"]) == {0, 1, 2}


def test_a_short_context_shortens_prompts_and_ends_reuse() -> None:
    tiny = make_deployments(("a",), [1], ["small"], [2048])
    episode = FamilyWorkload("maestro", load_family("maestro"), tiny).episode(3, 5.0, 60.0, unit_service(1))
    stages = episode.stages
    assert np.all(stages["prompt_tokens"] + stages["max_output_tokens"] <= 2048)
    assert np.all(stages["ctx_prefix_tokens"] <= stages["prompt_tokens"])


def test_the_toy_family_can_be_reckoned_by_hand(deployments: Deployments, service: np.ndarray) -> None:
    episode = FamilyWorkload("toy", load_family("toy"), deployments).episode(1, 1.0, 60.0, service)
    stages, hidden = episode.stages, episode.hidden
    chain = episode.workflows[episode.workflows["application"] == 0][0]
    s = int(chain["first_stage"])
    assert stages["prompt_tokens"][s : s + 2].tolist() == [160, 160 + 20 + 40]
    assert hidden["output_tokens"][s : s + 2].tolist() == [20, 200]
    assert stages["ctx_prefix_tokens"][s : s + 2].tolist() == [0, 180]
    assert hidden["tool_gap_s"][s : s + 2].tolist() == [0.5, 0.0]
    assert hidden["remaining_s"][s + 1] == pytest.approx(0.05 + 220e-4 + 4.0)
    assert hidden["remaining_s"][s] == pytest.approx(0.05 + 160e-4 + 0.4 + 0.5 + hidden["remaining_s"][s + 1])
    diamond = episode.workflows[episode.workflows["application"] == 1][0]
    d = int(diamond["first_stage"])
    assert stages["prompt_tokens"][d : d + 4].tolist() == [280, 250, 250, 80 + 200 + 600]
    assert hidden["num_children"][d : d + 4].tolist() == [2, 1, 1, 0]
    assert hidden["num_parents"][d : d + 4].tolist() == [0, 1, 1, 2]
    assert stages["depth"][d : d + 4].tolist() == [0, 1, 1, 2]
    assert hidden["remaining_calls"][d : d + 4].tolist() == [3, 1, 1, 0]
