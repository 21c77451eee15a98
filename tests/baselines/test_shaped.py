"""The shaped family: Maestro by default, and each lever in the direction that its sentence says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.baselines.late_binding import holds, network, slack
from maestro_gym.baselines.registry import TABLE
from maestro_gym.baselines.shaped import numbers as family
from maestro_gym.baselines.shaped.file import read_numbers, values_of, write_numbers
from maestro_gym.core.boxed import box
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.numbers import FIRST_OWN
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import BATCH, INTERACTIVE, NUMBERS
from maestro_gym.state.types import HIDDEN, VIEW
from tests.baselines.hand import NOW_S, Hand, ask, order_key

DEADLINE_S = NOW_S + 100.0


def _finished(scenario: Scenario, policy: Any) -> np.ndarray:  # noqa: ANN401 - a Policy
    return run_episode(scenario, policy, "validation", 1, 0, samples=0).workflows["finished_s"]


@pytest.mark.parametrize("contention", ["low", "high"])
@pytest.mark.parametrize("name", ["toy", "quick"])
def test_with_its_defaults_every_workflow_ends_when_it_does_under_maestro(name: str, contention: str) -> None:
    scenario = Scenario.load(name, ["horizon_s=120", f"contention={contention}"])
    shaped, maestro = (load_policy(policy, scenario) for policy in ("shaped", "maestro"))
    np.testing.assert_array_equal(_finished(scenario, shaped), _finished(scenario, maestro))


_OPEN = {
    "sandboxes": ["horizon_s=60", "workload.tools={all: {places: 2}}"],
    "contexts": ["horizon_s=60"],
    "diurnal": ["horizon_s=120", "limits.autoscaling.period_s=10"],
    "flood": ["horizon_s=60"],
}


@pytest.mark.parametrize("name", _OPEN)
def test_with_its_defaults_it_is_maestro_where_there_is_more_to_decide(name: str) -> None:
    scenario = Scenario.load(name, _OPEN[name])
    shaped, maestro = (load_policy(policy, scenario) for policy in ("shaped", "maestro"))
    np.testing.assert_array_equal(_finished(scenario, shaped), _finished(scenario, maestro))


@pytest.mark.parametrize(
    ("name", "number", "rule"),
    [
        ("contexts", {"offload_context": 1.0}, "kv-offload+maestro"),
        ("contexts", {"hold_context": 600.0}, "kv-keep+maestro"),
        ("diurnal", {"scale_headroom": 1.3}, "little+maestro"),
    ],
)
def test_one_number_makes_it_a_rule_of_its_own(name: str, number: dict[str, float], rule: str) -> None:
    scenario = Scenario.load(name, _OPEN[name])
    plain = load_policy("shaped", scenario)
    turned = load_policy_with(plain, values_of(family.FAMILY, number, "a test"))
    ends = _finished(scenario, turned)
    np.testing.assert_array_equal(ends, _finished(scenario, load_policy(rule, scenario)))
    assert not np.array_equal(ends, _finished(scenario, plain))


def test_tools_serve_short_futures_sooner_by_its_weight() -> None:
    scenario = Scenario.load("sandboxes", _OPEN["sandboxes"])
    plain = load_policy("shaped", scenario)
    turned = load_policy_with(plain, values_of(family.FAMILY, {"tool_future": 4.0}, "a test"))
    assert not np.array_equal(_finished(scenario, turned), _finished(scenario, plain))
    hand = Hand()
    stages = [hand.stage(), hand.stage()]
    hand.view.stages.finished_s[0, stages] = [10.0, 11.0]
    hand.view.stages.future_s_q50[0, stages] = [9.0, 3.0]

    def keys() -> list[float]:
        order = TABLE["shaped"].tools
        assert order is not None
        assert order.key is not None
        return [order.key(box(hand.view, VIEW), box(hand.oracle, HIDDEN), 0, stage) for stage in stages]

    assert keys() == [0.0, 0.0]
    hand.view.numbers[0, family.TOOL_FUTURE] = 0.5
    assert keys() == [14.5, 12.5]


def test_a_batch_may_hold_another_candidate_in_every_environment() -> None:
    scenario = Scenario.load("quick", ["horizon_s=60", "contention=high"])
    policy = load_policy("shaped", scenario)
    tight = values_of(family.FAMILY, {"stages_cap": 4.0}, "a test")
    alone = [_finished(scenario, policy), _finished(scenario, load_policy_with(policy, tight))]
    simulation = Simulation(scenario.world, 2, evaluation=True)
    open_engine(simulation, policy)
    simulation.numbers[1, : len(tight)] = tight
    episode = scenario.episode("validation", 1, 0)
    for e in range(2):
        simulation.load(e, episode, key=1)
    engine = open_engine(simulation, load_policy_with(policy, ()))
    for e in range(2):
        run_until(engine, e, 0)
        ends = simulation.state.visible.workflows[e]["finished_s"][: len(episode.workflows)]
        np.testing.assert_array_equal(ends, alone[e])
    assert not np.array_equal(*alone)


def load_policy_with(policy: Any, numbers: tuple[float, ...]) -> Any:  # noqa: ANN401 - a Policy
    from dataclasses import replace

    return replace(policy, numbers=numbers)


def test_names_are_unique_and_ranges_hold_the_defaults_or_switch_off() -> None:
    names = [number.name for number in family.NUMBERS]
    assert len(set(names)) == len(names) <= NUMBERS
    for number in family.NUMBERS:
        assert number.low < number.high
        assert number.default == 0 or number.low <= number.default <= number.high
        assert number.meaning.endswith(".")
        assert number.unit
        assert number.start is None or number.low <= number.start <= number.high
    for module in (slack, network, holds, family):
        for name, place in vars(module).items():
            if name.isupper() and name != "INTERACTIVE" and name.lower() in names:
                assert names[place] == name.lower()
    assert names[family.INTERACTIVE_BONUS] == "interactive"
    assert holds.NUM_HOLDS <= FIRST_OWN  # the levers that late binding reads under every policy


def _key(given: dict[str, float], **stage: Any) -> float:  # noqa: ANN401 - of Hand.stage
    """Key of a stage in the shaped order under some numbers, the others 0."""
    hand = Hand()
    only = {number.name: 0.0 for number in family.NUMBERS} | {"stretch": 1.0} | given
    hand.view.numbers[0, : len(family.NUMBERS)] = values_of(family.FAMILY, only, "a test")
    return order_key("shaped", hand, hand.stage(**{"deadline_s": DEADLINE_S, "ready_s": NOW_S - 4.0, **stage}))


@pytest.mark.parametrize(
    ("name", "stage", "value"),
    [
        ("remaining", {"remaining_s": 30.0}, 30.0),
        ("log_remaining", {"remaining_s": np.e}, 1.0),
        ("wait", {}, 4.0),
        ("age", {}, 4.0),
        ("interactive", {"cls": INTERACTIVE}, 1.0),
        ("interactive", {"cls": BATCH}, 0.0),
        ("slack", {"remaining_s": 30.0}, 70.0),
        ("slack", {"remaining_s": 130.0}, 0.0),
        ("lateness", {"remaining_s": 130.0}, 30.0),
        ("late", {"deadline_s": NOW_S - 1.0}, 1.0),
        ("late", {}, 0.0),
        ("relegation", {"remaining_s": 130.0}, 1.0),
        ("relegation", {"remaining_s": 30.0}, 0.0),
        ("stages_done", {"stages_done": 3}, 3.0),
        ("service", {"prompt": 1000, "output": 100.0}, 1.1),
    ],
)
def test_a_weight_of_one_adds_what_its_sentence_says(name: str, stage: dict, value: float) -> None:
    assert _key({name: 1.0}, **stage) == pytest.approx(value)


def test_a_tenant_is_put_back_by_what_it_was_served_beyond_its_share() -> None:
    hand = Hand()
    hand.view.numbers[0, family.TENANT_EXCESS] = 100.0
    stages = [hand.stage(deadline_s=DEADLINE_S), hand.stage(deadline_s=DEADLINE_S)]
    hand.view.workflows.tenant[0, : len(stages)] = [0, 1]
    # 300 + 2 * 50 and 0 + 2 * 50 weighted tokens of 500; each of four tenants is entitled to a quarter.
    hand.view.tenants.prompt_tokens[0, :2] = [300.0, 0.0]
    hand.view.tenants.output_tokens[0, :2] = [50.0, 50.0]
    keys = [order_key("shaped", hand, stage) for stage in stages]
    assert keys[0] - keys[1] == pytest.approx(100.0 * (0.8 - 0.25))


def test_a_workflow_without_a_deadline_has_a_key() -> None:
    assert np.isfinite(_key({"slack": 1.0, "lateness": 1.0}, deadline_s=np.inf))


def _sent(hand: Hand, **given: float) -> int:
    """What the global rule of the family does under Maestro's numbers but for some: a code, 0 waits."""
    hand.view.numbers[0, : len(family.NUMBERS)] = values_of(family.FAMILY, given, "a test")
    hand.view.model_memory[:] = 0.0
    return ask(load_policy("shaped").global_rule, hand)


def test_a_stage_waits_for_a_node_below_the_cap_unless_nothing_else_could_happen() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 0, running=3)
    hand.ready(hand.stage(model=0))
    assert _sent(hand) > 0
    assert _sent(hand, stages_cap=4.0) > 0
    assert _sent(hand, stages_cap=3.0) == 0
    assert _sent(hand, stages_cap=3.0, stages_cap_per_ready=1.0) > 0
    hand.view.clock.wait_legal = 0
    assert _sent(hand, stages_cap=3.0) > 0


def test_a_backlog_leaves_a_share_of_the_cap_however_long_it_is() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 0, running=3)
    hand.ready(hand.stage(model=0))
    assert _sent(hand, stages_cap=20.0, stages_cap_per_ready=-1000.0) > 0
    assert _sent(hand, stages_cap=20.0, stages_cap_per_ready=-10.0, reserve=1000.0, pressing_class=0.0) > 0
    assert _sent(hand, stages_cap=8.0, stages_cap_per_ready=-1000.0) == 0


def test_a_model_that_a_node_does_not_serve_waits_while_it_serves_enough_others() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 0, running=1)
    hand.engine(0, 1)
    hand.ready(hand.stage(model=1))
    assert _sent(hand) > 0
    assert _sent(hand, engines_cap=1.0) == 0
    assert _sent(hand, engines_cap=2.0) > 0
    hand.view.engines[0, 0, 1].running = 1
    assert _sent(hand, engines_cap=1.0) > 0


def test_an_idle_engine_that_the_global_queue_wants_more_is_kept() -> None:
    hand = Hand(nodes_per_cluster=1)
    for model in range(2):
        hand.engine(0, model)
    hand.view.models[0].ready = [9, 1, 0]
    hand.view.models[0].warm_nodes = [1, 0, 0]
    kept = {keep: _is_kept(hand, 0, 1, keep=keep) for keep in (0.0, 5.0, 20.0)}
    assert kept == {0.0: False, 5.0: True, 20.0: False}
    assert not _is_kept(hand, 1, 0, keep=5.0)


def test_a_new_engine_stays() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 0)
    hand.view.engines[0, 0, 0].ready_s = NOW_S - 10.0
    assert not _is_kept(hand, 0, 1, stay=10.0)
    assert _is_kept(hand, 0, 1, stay=11.0)


def _is_kept(hand: Hand, slot: int, newcomer: int, **given: float) -> bool:
    from maestro_gym.core.boxed import box
    from maestro_gym.state.types import VIEW

    hand.view.numbers[0, : len(family.NUMBERS)] = values_of(family.FAMILY, given, "a test")
    return bool(holds.is_kept(box(hand.view, VIEW), 0, 0, slot, newcomer))


def test_a_node_keeps_places_for_calls_that_are_pressing() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 0, running=3)
    batch = {"model": 0, "cls": BATCH, "remaining_s": 10.0, "deadline_s": NOW_S + 100.0}
    first = hand.stage(**batch)
    hand.ready(first)
    assert _sent_stage(hand, stages_cap=5.0) == first
    assert _sent_stage(hand, stages_cap=5.0, reserve=2.0) is None
    assert _sent_stage(hand, stages_cap=5.0, reserve=2.0, pressing_slack=91.0) == first
    second = hand.stage(**batch | {"cls": INTERACTIVE})
    hand.ready(first, second)
    assert _sent_stage(hand, stages_cap=5.0, reserve=2.0) == second
    assert _sent_stage(hand, stages_cap=5.0, reserve=2.0, pressing_class=0.0) is None
    assert _sent_stage(hand, stages_cap=5.0, reserve=2.0, relegation_margin=91.0) is None


def _sent_stage(hand: Hand, **given: float) -> int | None:
    code = _sent(hand, **given)
    return (code - 1) // hand.view.world.latency_s.shape[1] if code > 0 else None


def test_the_network_moves_the_caps_with_the_state() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 0, running=8)
    hand.ready(hand.stage(model=0))
    caps = {"stages_cap": 9.0, "net_a_stages": 4.0}
    assert _sent(hand, **caps) > 0
    assert _sent(hand, **caps, net_a_fill=-3.0) == 0  # 9 + 4 tanh(-3 / 8) = 7.57
    assert _sent(hand, **caps, net_a_fill=-0.5) > 0
    assert _sent(hand, **caps, net_a_bias=-3.0) == 0


def test_the_slack_counts_calls_as_slow_as_they_are_beside_others() -> None:
    assert _key({"slack": 1.0, "stretch": 1.5}, remaining_s=20.0) == pytest.approx(DEADLINE_S - NOW_S - 30.0)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    values = values_of(family.FAMILY, {"stages_cap": 48.912345, "remaining": 1.0}, "a test")
    write_numbers(path, family.FAMILY, values, {"found_by": "hand"}, {"limits.max_num_seqs": 64})
    assert read_numbers(path).numbers == {"stages_cap": 48.912}
    assert read_numbers(path).overrides == ("limits.max_num_seqs=64",)
    policy = load_policy(str(path))
    assert policy.name == "mine"
    assert policy.numbers == values_of(family.FAMILY, {"stages_cap": 48.912}, "a test")


def test_numbers_that_belong_to_limits_are_refused_where_engines_have_others(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    write_numbers(path, family.FAMILY, family.defaults(), {}, {"limits.max_num_seqs": 64})
    with pytest.raises(MaestroError, match=r"max_num_seqs=64.*--own-limits"):
        load_policy(str(path), Scenario.load("toy"))
    assert load_policy(str(path), Scenario.load("toy", ["limits.max_num_seqs=64"])).name == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("family: shaped\nformat: 1\nnumbers: {stage_cap: 4}", "stages_cap"),
        ("family: shaped\nformat: 1\nnumbers: {keep: .inf}", "keep|finite"),
        ("family: other\nformat: 1\nnumbers: {}", "family"),
        ("family: shaped\nformat: 2\nnumbers: {}", "format"),
        ("numbers: {}", "family"),
    ],
)
def test_a_wrong_file_is_answered_with_the_place_and_the_fix(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MaestroError, match=says) as caught:
        load_policy(str(path))
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("searched")])
def test_a_shipped_policy_says_where_it_comes_from(name: str) -> None:
    import yaml

    from maestro_gym.config.files import find_config

    about = yaml.safe_load(find_config("policies", name, "a test").read_text(encoding="utf-8"))["about"]
    assert {"found_by", "validation", "versions"} <= set(about)
