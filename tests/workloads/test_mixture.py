"""Several families in one episode."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.state import Episode
from maestro_gym.workloads import Deployments, FamilyWorkload, load_family, make_deployments
from maestro_gym.workloads.build import build_workload, deployments_of, scenario_workload
from maestro_gym.workloads.mixture import MixtureWorkload, Part


@pytest.fixture(scope="module")
def parts(deployments: Deployments) -> list[Part]:
    return [
        Part(FamilyWorkload("maestro", load_family("maestro"), deployments), 3.0),
        Part(FamilyWorkload("tool_dialogue", load_family("tool_dialogue"), deployments), 1.0),
        Part(FamilyWorkload("conversation", load_family("conversation"), deployments), 4.0),
    ]


@pytest.fixture(scope="module")
def mixed(parts: list[Part]) -> MixtureWorkload:
    return MixtureWorkload(parts, num_clusters=3)


@pytest.fixture(scope="module")
def episode(mixed: MixtureWorkload, service: np.ndarray) -> Episode:
    return mixed.episode(11, 4.0, 500.0, service)


def test_workflows_come_in_order_and_parts_have_their_shares(mixed: MixtureWorkload, episode: Episode) -> None:
    workflows = episode.workflows
    assert np.all(np.diff(workflows["arrival_s"]) >= 0)
    part = np.array([mixed.application_names[i].split(".")[0] for i in workflows["application"]])
    assert len(workflows) == pytest.approx(2000, rel=0.1)
    for name, share in (("maestro", 3 / 8), ("tool_dialogue", 1 / 8), ("conversation", 4 / 8)):
        assert np.mean(part == name) == pytest.approx(share, abs=0.03)


def test_every_part_is_what_it_would_be_alone(
    parts: list[Part], mixed: MixtureWorkload, episode: Episode, service: np.ndarray
) -> None:
    from maestro_gym.core import hashing

    alone = parts[1].workload.episode(int(hashing.mix(11, hashing.MIXTURE, 1)), 0.5, 500.0, service)
    own = np.flatnonzero([mixed.application_names[i].startswith("tool") for i in episode.workflows["application"]])
    assert np.array_equal(episode.workflows["arrival_s"][own], alone.workflows["arrival_s"])
    mine = np.isin(episode.stages["workflow"], own)
    for column in ("prompt_tokens", "ctx_prefix_tokens", "model", "depth", "invocation_index"):
        assert np.array_equal(episode.stages[column][mine], alone.stages[column]), column
    for column in ("output_tokens", "tool_gap_s", "num_children", "num_parents", "remaining_s", "remaining_calls"):
        assert np.array_equal(episode.hidden[column][mine], alone.hidden[column]), column


def test_stages_children_groups_and_names_are_numbered_through(mixed: MixtureWorkload, episode: Episode) -> None:
    workflows, stages, hidden = episode.workflows, episode.stages, episode.hidden
    assert np.array_equal(np.repeat(np.arange(len(workflows)), workflows["num_stages"]), stages["workflow"])
    assert np.array_equal(workflows["first_stage"], np.cumsum(workflows["num_stages"]) - workflows["num_stages"])
    parent = np.repeat(np.arange(len(stages)), hidden["num_children"])
    assert np.all(episode.children > parent)
    assert np.array_equal(stages["workflow"][episode.children], stages["workflow"][parent])
    assert np.array_equal(np.bincount(episode.children, minlength=len(stages)), hidden["num_parents"])
    assert stages["role"].max() < len(mixed.role_names)
    family_of_role = [mixed.role_names[i].split(".")[0] for i in stages["role"]]
    family = [mixed.application_names[i].split(".")[0] for i in workflows["application"][stages["workflow"]]]
    assert family_of_role == family
    for column in ("sys_group", "ctx_group"):
        groups: dict[int, str] = {}
        for group, name in zip(stages[column].tolist(), family, strict=True):
            if group >= 0:
                assert groups.setdefault(group, name) == name
    assert set(stages["sys_group"][stages["sys_group"] >= 0]).isdisjoint(stages["ctx_group"])


def test_tenants_belong_to_one_part(mixed: MixtureWorkload, episode: Episode) -> None:
    for workflow in episode.workflows[:300]:
        tenant = mixed.tenant_names[workflow["tenant"]].split("/")[0]
        assert mixed.application_names[workflow["application"]].startswith(tenant)
    assert np.array_equal(episode.workflows["ingress_cluster"], episode.workflows["tenant"] % 3)


def test_the_mix_is_that_of_a_long_episode(mixed: MixtureWorkload, service: np.ndarray) -> None:
    mix, long = mixed.mix(), mixed.episode(3, 6.0, 2000.0, service)
    assert mix.calls_per_workflow == pytest.approx(len(long.stages) / len(long.workflows), rel=0.05)
    shares = np.bincount(long.stages["model"], minlength=12) / len(long.stages)
    assert mix.model_share == pytest.approx(shares, abs=0.02)
    prompts = float(mix.prompt_tokens @ mix.model_share)
    assert prompts == pytest.approx(long.stages["prompt_tokens"].mean(), rel=0.08)


def test_history_holds_every_part(mixed: MixtureWorkload, service: np.ndarray) -> None:
    past = mixed.history(80, service)
    assert len(past.workflows) == 80
    assert len({mixed.application_names[i].split(".")[0] for i in past.workflows["application"]}) == 3


def test_two_parts_of_one_family_are_told_apart(parts: list[Part]) -> None:
    twice = MixtureWorkload([parts[1], parts[1]])
    assert twice.application_names == ("tool_dialogue-0.tau_bench", "tool_dialogue-1.tau_bench")


def test_the_scenario_of_families_and_tenants_is_complete() -> None:
    config = load_scenario("mixture")
    made = scenario_workload(config)
    assert len(made.application_names) == 8
    assert len(made.tenant_names) == 6 + 3 + 2 + 2 + 1
    assert {name.split("/")[0] for name in made.tenant_names} == {
        "conversation",
        "tool_dialogue",
        "orchestrator",
        "coding_agent",
        "software_team",
    }
    assert any("outgrow the max_model_len" in note for note in made.notes)


def test_a_family_on_the_command_line_takes_the_place_of_a_mixture() -> None:
    config = load_scenario("mixture", ["workload.family=tool_dialogue"])
    assert config.workload.mixture is None
    assert scenario_workload(config).name == "tool_dialogue"
    config = load_scenario("quick", ["workload.mixture=[{family: maestro, share: 1}, {family: toy, share: 1}]"])
    assert config.workload.family is None
    assert scenario_workload(config).name == "maestro+toy"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("workload.mixture=[]", "mixture"),
        ("workload.mixture=[{family: maestro, share: 0}]", "share"),
        ("workload.mixture=[{family: maestro, part: 1}]", "part"),
    ],
)
def test_a_mistake_in_a_mixture_is_told(override: str, words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        load_scenario("quick", [override])


def test_a_popularity_law_takes_the_place_of_the_deployments_own() -> None:
    config = load_scenario("quick", ["workload.popularity=gentd26"])
    deployments = deployments_of(config)
    assert deployments.popularity[0] / deployments.popularity[1] == pytest.approx(0.3073 / 0.1497)
    mix = build_workload(config.workload, deployments).mix()
    assert mix.model_share[0] == pytest.approx(deployments.popularity[0], abs=0.02)
    with pytest.raises(MaestroError, match="gentd26"):
        deployments_of(load_scenario("quick", ["workload.popularity=gentd"]))


def test_a_role_asks_for_the_size_its_family_says() -> None:
    even = make_deployments(("s", "m", "l"), [1, 1, 1], ["small", "medium", "large"], [1 << 20] * 3)
    choice = FamilyWorkload("software_team", load_family("software_team"), even).choice
    assert np.argmax(choice[2]) == 2
