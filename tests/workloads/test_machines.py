"""Families of state machines: walks, lengths, contexts and what does not change them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import Episode
from maestro_gym.workloads import (
    FamilyWorkload,
    MachineFamilySpec,
    load_family,
    make_deployments,
    unit_service,
)
from maestro_gym.workloads.laws import QuantileLaw, fit_quantiles, law_quantile
from maestro_gym.workloads.machines.machine_tables import onward_table, transition_matrix

ROOMY = make_deployments(("any",), [1], ["medium"], [1 << 20])
SERVICE = unit_service(1)


def _state(role: str, next_: dict[str, float], **more: object) -> dict[str, Any]:
    return {"role": role, "output_tokens": {"median": 20}, "prompt_tokens": {"median": 100}, "next": next_} | more


def _family(**machine: object) -> dict[str, Any]:
    base = {
        "class": "batch",
        "share": 1,
        "deadline_s": 100,
        "ttft_limit_s": 10,
        "roles": {"coder": {"size": "medium", "max_output_tokens": 512}},
        "start": {"write": 1},
        "states": {
            "write": _state("coder", {"test": 1.0}),
            "test": _state("coder", {"write": 0.6, "end": 0.4}, tool="pytest", gap_s={"median": 2.0}),
        },
    }
    return {"description": "test", "machines": {"loop": base | machine}}


def _make(seconds: float = 4000.0, key: int = 5, context: int = 1 << 20, **machine: object) -> Episode:
    spec = MachineFamilySpec.model_validate(_family(**machine))
    deployments = make_deployments(("any",), [1], ["medium"], [context])
    return FamilyWorkload("loop", spec, deployments).episode(key, 1.0, seconds, SERVICE)


def _walks(episode: Episode) -> list[list[int]]:
    """Tool intents of every workflow's calls, in order."""
    ends = np.cumsum(episode.workflows["num_stages"])[:-1]
    return [part.tolist() for part in np.split(episode.hidden["tool_intent"], ends)]


def test_without_a_law_of_calls_the_chances_of_ending_decide() -> None:
    calls = _make().workflows["num_stages"]
    # Rounds of two calls, geometric with chance 0.4: mean 2.5 rounds.
    assert set(calls % 2) == {0}
    assert calls.mean() == pytest.approx(5.0, rel=0.05)
    assert np.mean(calls == 2) == pytest.approx(0.4, abs=0.03)


def test_a_law_of_calls_is_met_and_loops_run_as_often_as_it_says() -> None:
    law = {"quantiles": {0: 4, 0.5: 4, 0.5001: 12, 1: 12}}
    episode = _make(calls=law)
    calls = episode.workflows["num_stages"]
    assert set(calls) == {4, 12}
    assert np.mean(calls == 4) == pytest.approx(0.5, abs=0.03)
    assert all(walk == [0, 1] * (len(walk) // 2) for walk in _walks(episode))


def test_a_number_of_calls_that_no_walk_has_goes_to_the_nearest_that_one_has() -> None:
    assert set(_make(calls={"median": 7}).workflows["num_stages"]) <= {6, 8}


def test_the_walk_is_the_chain_conditioned_on_its_number_of_calls() -> None:
    states = {
        "a": _state("coder", {"a": 0.5, "b": 0.3, "end": 0.2}),
        "b": _state("coder", {"a": 0.6, "b": 0.1, "end": 0.3}, tool="x"),
    }
    spec = MachineFamilySpec.model_validate(_family(states=states, start={"a": 0.7, "b": 0.3}, calls={"median": 4}))
    moves, ends, starts = transition_matrix(spec.machines["loop"])
    chances = {}
    for walk in itertools.product((0, 1), repeat=4):
        chance = starts[walk[0]] * ends[walk[-1]]
        for one, other in itertools.pairwise(walk):
            chance *= moves[one, other]
        chances[walk] = chance
    total = sum(chances.values())
    made = FamilyWorkload("loop", spec, ROOMY).episode(3, 1.0, 30_000.0, SERVICE)
    seen = [tuple(walk) for walk in _walks(made)]
    for walk, chance in chances.items():
        assert seen.count(walk) / len(seen) == pytest.approx(chance / total, abs=0.012), walk


def test_the_onward_table_counts_walks_of_every_length() -> None:
    moves, ends = np.array([[0.0, 1.0], [0.6, 0.0]]), np.array([0.0, 0.4])
    table = onward_table(moves, ends, 4)
    exact = [ends, moves @ ends, moves @ moves @ ends, moves @ moves @ moves @ ends]
    for row, wanted in zip(table, exact, strict=True):
        assert row == pytest.approx(wanted / wanted.max())


def test_calls_stand_in_line_and_gaps_follow_tools() -> None:
    episode = _make(300.0)
    hidden = episode.hidden
    last = np.cumsum(episode.workflows["num_stages"]) - 1
    assert np.array_equal(np.flatnonzero(hidden["num_children"] == 0), last)
    assert set(hidden["num_children"]) == {0, 1}
    waits = (hidden["tool_intent"] == 1) & (hidden["num_children"] == 1)
    assert np.all(hidden["tool_gap_s"][waits] == 2.0)
    assert np.all(hidden["tool_gap_s"][~waits] == 0.0)
    assert episode.stages["invocation_index"].tolist() == episode.stages["depth"].tolist()


ROLES = {"coder": {"size": "medium", "max_output_tokens": 512, "system_tokens": 64, "thread": "talk"}}


def _talk(**more: object) -> dict[str, Any]:
    return {"say": _state("coder", {"say": 1.0, "end": 1.0}, grows_tokens={"median": 30}, **more)}


def test_a_context_grows_by_what_was_said_and_gained() -> None:
    episode = _make(100.0, roles=ROLES, start={"say": 1}, states=_talk(), calls={"median": 4})
    first = episode.stages[:4]
    assert first["prompt_tokens"].tolist() == [100, 150, 200, 250]
    assert first["ctx_prefix_tokens"].tolist() == [0, 120, 170, 220]
    assert first["sys_prefix_tokens"].tolist() == [64] * 4
    assert len(set(first["ctx_group"])) == 1
    assert len(set(episode.stages["sys_group"])) == 1
    assert set(episode.stages["ctx_group"]).isdisjoint(episode.stages["sys_group"])


def test_an_output_that_is_not_kept_is_not_reused() -> None:
    episode = _make(100.0, roles=ROLES, start={"say": 1}, states=_talk(keeps_output=False), calls={"median": 3})
    assert episode.stages["prompt_tokens"][:3].tolist() == [100, 130, 160]
    assert episode.stages["ctx_prefix_tokens"][:3].tolist() == [0, 100, 130]


def test_a_reset_makes_the_context_afresh() -> None:
    episode = _make(100.0, roles=ROLES, start={"say": 1}, states=_talk(reset=1.0), calls={"median": 3})
    assert episode.stages["prompt_tokens"][:3].tolist() == [100, 100, 100]
    assert episode.stages["ctx_prefix_tokens"][:3].tolist() == [0, 0, 0]


def test_young_contexts_grow_faster() -> None:
    youth = {"extra": 1.0, "calls": 2.0}
    episode = _make(100.0, roles=ROLES, start={"say": 1}, states=_talk(), calls={"median": 4}, youth=youth)
    gains = np.diff(episode.stages["prompt_tokens"][:4]) - 20
    assert gains.tolist() == [round(30 * (1 + np.exp(-n / 2))) for n in range(3)]


def test_a_context_that_outgrows_its_deployment_is_compacted_to_half_the_room_and_grows_again() -> None:
    law = {"median": 60}
    spec = MachineFamilySpec.model_validate(_family(roles=ROLES, start={"say": 1}, states=_talk(), calls=law))
    tight = make_deployments(("tight",), [1], ["medium"], [1024])
    made = FamilyWorkload("loop", spec, tight)
    stages = made.episode(1, 1.0, 50.0, SERVICE).stages[:60]
    assert set(stages["workflow"]) == {0}
    room = 1024 - 512
    assert np.all(stages["prompt_tokens"] <= room)
    falls = np.flatnonzero(np.diff(stages["prompt_tokens"]) < 0) + 1
    assert len(falls) > 2
    assert np.all(stages["prompt_tokens"][falls] == 64 + (room - 64) // 2)
    assert np.all(stages["ctx_prefix_tokens"][falls] == 64)
    assert np.all(stages["ctx_prefix_tokens"][falls[:-1] + 1] == stages["prompt_tokens"][falls[:-1]] + 20)
    assert "outgrow the max_model_len" in made.notes[0]
    assert "tight" in made.notes[0]
    assert FamilyWorkload("loop", spec, ROOMY).notes == ()


def test_a_workflow_goes_on_with_the_context_of_an_earlier_one() -> None:
    go_on = {"chance": 0.5, "lag_s": {"median": 10.0}, "context_tokens": {"median": 900}}
    episode = _make(3000.0, roles=ROLES, start={"say": 1}, states=_talk(), calls={"median": 1}, continues=go_on)
    stages, arrival_s = episode.stages, episode.workflows["arrival_s"]
    assert np.mean(stages["ctx_prefix_tokens"] > 0) == pytest.approx(0.5, abs=0.03)
    order = np.argsort(stages["ctx_group"], kind="stable")
    same = np.diff(stages["ctx_group"][order]) == 0
    one, other = order[:-1][same], order[1:][same]
    assert len(one) > 1000
    assert np.all(arrival_s[other] - arrival_s[one] >= 10.0)
    assert np.array_equal(stages["prompt_tokens"][other], stages["prompt_tokens"][one] + 50)
    assert np.array_equal(stages["ctx_prefix_tokens"][other], stages["prompt_tokens"][one] + 20)
    assert np.array_equal(episode.workflows["tenant"][other], episode.workflows["tenant"][one])
    # What began before the episode is a context of its own that no engine holds.
    firsts = np.setdiff1d(order, other)
    before = stages["ctx_prefix_tokens"][firsts] > 0
    assert np.all(stages["prompt_tokens"][firsts[before]] == 930)


def test_a_jobs_effect_makes_its_calls_alike_and_leaves_their_law_alone() -> None:
    law = {"quantiles": {0: 10, 0.5: 100, 1: 1000}}
    states = {"say": _state("coder", {"say": 1, "end": 1}, output_tokens=law)}
    shared = {
        "states": states,
        "start": {"say": 1},
        "calls": {"median": 10},
        "roles": {"coder": ROLES["coder"] | {"max_output_tokens": 1024}},
    }
    alike, apart = (_make(job_effects={"output": loading}, **shared) for loading in (0.8, 0.0))
    for episode in (alike, apart):
        outputs = episode.hidden["output_tokens"]
        assert np.quantile(outputs, [0.25, 0.5, 0.75]) == pytest.approx([55, 100, 550], rel=0.08)
    spread = [episode.hidden["output_tokens"].reshape(-1, 10).mean(axis=1).std() for episode in (alike, apart)]
    assert spread[0] > 2 * spread[1]


def test_long_workflows_may_say_more_without_a_change_of_the_law_over_calls() -> None:
    law = {"quantiles": {0: 10, 0.5: 100, 1: 1000}}
    states = {"say": _state("coder", {"say": 1, "end": 1}, output_tokens=law)}
    episode = _make(
        8000.0,
        states=states,
        start={"say": 1},
        calls={"quantiles": {0: 2, 1: 40}},
        roles={"coder": ROLES["coder"] | {"max_output_tokens": 1024}},
        job_effects={"output": 0.7, "calls_output": 0.8},
    )
    outputs = episode.hidden["output_tokens"]
    owner = episode.stages["workflow"]
    means = np.bincount(owner, outputs) / np.bincount(owner)
    assert np.corrcoef(means, episode.workflows["num_stages"])[0, 1] > 0.4
    assert np.median(outputs) == pytest.approx(100, rel=0.1)


def test_the_same_key_gives_the_same_episode_and_a_longer_horizon_only_adds() -> None:
    short, again, long = _make(60.0), _make(60.0), _make(120.0)
    assert all(np.array_equal(a, b) for a, b in zip(short, again, strict=True))
    assert np.array_equal(short.stages, long.stages[: len(short.stages)])
    assert not np.array_equal(short.stages, _make(60.0, key=6).stages)


def test_a_workflows_shape_does_not_depend_on_the_deployments() -> None:
    spec = MachineFamilySpec.model_validate(_family())
    many = make_deployments(("a", "b", "c"), [3, 2, 1], ["small", "medium", "large"], [1 << 20] * 3)
    one, other = (FamilyWorkload("loop", spec, d).episode(4, 1.0, 200.0, unit_service(3)) for d in (ROOMY, many))
    assert np.array_equal(one.hidden["output_tokens"], other.hidden["output_tokens"])
    assert np.array_equal(one.workflows["num_stages"], other.workflows["num_stages"])


@pytest.mark.parametrize("name", ["software_team", "coding_agent", "orchestrator", "tool_dialogue", "conversation"])
def test_a_fitted_family_says_how_it_was_made_and_respects_its_deployments(name: str) -> None:
    spec = load_family(name)
    assert isinstance(spec, MachineFamilySpec)
    assert spec.fitted is not None
    assert spec.fitted.command.startswith(f"maestro-gym workload fit --family {name} --trace ")
    assert all(trace.source for trace in spec.fitted.traces)
    deployments = make_deployments(("s", "m", "l"), [5, 3, 2], ["small", "medium", "large"], [16384, 32768, 131072])
    made = FamilyWorkload(name, spec, deployments)
    episode = made.episode(2, 0.5, 400.0, unit_service(3))
    stages, hidden = episode.stages, episode.hidden
    assert np.all(stages["prompt_tokens"] + stages["max_output_tokens"] <= deployments.max_model_len[stages["model"]])
    assert np.all((hidden["output_tokens"] >= 1) & (hidden["output_tokens"] <= stages["max_output_tokens"]))
    assert np.all(stages["ctx_prefix_tokens"] <= stages["prompt_tokens"])
    assert made.mix().model_share == pytest.approx(deployments.popularity, abs=0.03)


def test_fitted_quantiles_give_the_sample_back() -> None:
    rng = np.random.default_rng(0)
    sample = np.concatenate([np.full(400, 4), rng.lognormal(6, 0.4, 600).astype(int)])
    law = fit_quantiles(sample)
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.95])
    assert law_quantile(law, levels) == pytest.approx(np.quantile(sample, levels), rel=0.02, abs=1)
    assert len(fit_quantiles(np.full(50, 7)).quantiles) == 2
    assert isinstance(law, QuantileLaw)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"start": {"nowhere": 1}}, "nowhere"),
        ({"calls": {"quantiles": {0: 5, 1: 3}}}, "must not fall"),
        ({"calls": {"quantiles": {0.5: 5, 1.2: 9}}}, "less than or equal to 1"),
        ({"job_effects": {"output": 1.5}}, "less than 1"),
        ({"job_effects": {"calls_output": 0.9, "calls_prompt": 0.9, "output_prompt": -0.9}}, "three effects"),
        ({"states": {"write": _state("nobody", {"end": 1})}}, "nobody"),
        ({"states": {"write": _state("coder", {"end": -1})}}, "greater than or equal to 0"),
        ({"states": {"end": _state("coder", {"end": 1})}}, "stands for the end"),
        ({"continues": {"chance": 0.5, "lag_s": {"median": 1}, "context_tokens": {"median": 9}}}, "one thread"),
        ({"staets": {}}, "states"),
    ],
)
def test_a_mistake_in_a_machine_names_its_place(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(_family(**change)))
    with pytest.raises(MaestroError, match=named) as raised:
        load_family(str(file))
    assert "mine.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"states": {"write": _state("coder", {"write": 1})}}, "more than 512 calls"),
        ({"states": {"write": _state("coder", {"write": 1})}, "calls": {"median": 5}}, "no walk from `start` ends"),
        ({"calls": {"median": 0}}, "1 to 512"),
        ({"calls": {"median": 900}}, "1 to 512"),
    ],
)
def test_a_machine_that_cannot_end_is_refused(change: dict[str, Any], named: str) -> None:
    spec = MachineFamilySpec.model_validate(_family(**change))
    with pytest.raises(MaestroError, match=named):
        FamilyWorkload("mine", spec, ROOMY)


def test_the_machine_in_the_documentation_runs(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "workloads.md"
    example = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "example.yaml"
    path.write_text(example)
    made = FamilyWorkload("example", load_family(str(path)), ROOMY)
    episode = made.episode(1, 1.0, 500.0, SERVICE)
    assert np.median(episode.workflows["num_stages"]) == 8
    assert set(episode.workflows["num_stages"] % 2) == {0}
