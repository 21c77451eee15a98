"""Each choice of docs/late_binding.md, one test a row, on an instance solved by hand.

On the hands of these tests a cold start takes 22 s and a wake 1 s; a model takes 18 GB of a node's 72 GB and an
idle engine that falls asleep gives 17.5 GB of them back; a stage of 1000 prompt tokens takes 0.1 GB.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from maestro_gym.baselines import build
from maestro_gym.baselines.late_binding import displacement, gates, home, room, send, serve
from maestro_gym.baselines.late_binding.gates import GATE_CLUSTER, GATE_FLEET, GATE_HELD, GATE_HOME, GATE_NONE
from maestro_gym.baselines.late_binding.room import STEP_ADMIT, STEP_PROMOTE
from maestro_gym.baselines.orders import edf, fcfs
from maestro_gym.baselines.registry import ROUTINGS
from maestro_gym.core.boxed import box
from maestro_gym.scheduling import view as view_readers
from maestro_gym.state import CPU, DISK, ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_LOADING, RESERVE_PROMPT
from maestro_gym.state.types import HIDDEN, VIEW
from tests.baselines.hand import GB, NOW_S, Hand, ask, cluster_rule, global_rule

COLD_START_S = 22.0
PAGE = Path(__file__).parents[2] / "docs" / "late_binding.md"
MODULES = {
    "build": build,
    "displacement": displacement,
    "gates": gates,
    "home": home,
    "room": room,
    "send": send,
    "serve": serve,
    "view": view_readers,
}
"""Where the functions that the page names are found."""


def _answer(function: Any, hand: Hand, *arguments: float) -> Any:  # noqa: ANN401 - any compiled function
    """What a compiled function says of the only environment of a hand."""
    return function(box(hand.view, VIEW), 0, *arguments)


def _is_open(hand: Hand, stage: int, node: int, gate: int = GATE_FLEET) -> bool:
    """Whether a gate is open, expectation included."""
    expected = bool(_answer(gates.is_expected, hand, stage, gate))
    return bool(_answer(gates.is_open, hand, stage, node, gate, expected))


def _crowded(*running: int, room_gb: float = 18.0, nodes: int = 1, used_s: float = NOW_S) -> Hand:
    """Every node runs models 0, 1, ..., with so many stages each, and has only so much HBM left."""
    hand = Hand(nodes_per_cluster=nodes, num_models=5)
    for node in range(nodes):
        for model, stages in enumerate(running):
            hand.engine(node, model, running=stages, used_s=used_s)
    hand.view.nodes.kv_pool_bytes = room_gb * GB
    return hand


def test_only_oblivious_rivals_send_a_stage_to_wherever_there_is_room() -> None:
    by_gate: dict[int, set[str]] = {}
    for name, routing in ROUTINGS.items():
        by_gate.setdefault(build.gate_of(routing), set()).add(name)
    assert by_gate[GATE_NONE] == {"random", "round-robin", "jsq"}
    assert by_gate[GATE_HOME] == {"pinned"}
    assert by_gate[GATE_HELD] == {"shaped"}
    assert by_gate.keys() == {GATE_NONE, GATE_HOME, GATE_FLEET, GATE_HELD}
    hand = Hand()
    hand.engine(0, 0)
    stage = hand.stage()
    assert _is_open(hand, stage, 1, GATE_NONE)
    assert not _is_open(hand, stage, 1, GATE_FLEET)
    hand.load(1, queued=8)
    assert not _is_open(hand, stage, 1, GATE_NONE)


def test_a_stage_waits_for_a_node_that_runs_loads_or_expects_its_model() -> None:
    hand = Hand(nodes_per_cluster=4)
    stage = hand.stage()
    hand.engine(0, 0, ENGINE_ASLEEP)
    assert [_is_open(hand, stage, node) for node in range(4)] == [True] * 4
    hand.load(1, queued=1)  # another stage of the model was sent to node 1
    assert [_is_open(hand, stage, node) for node in range(4)] == [False] * 4
    hand.engine(2, 0)
    hand.engine(3, 0, ENGINE_LOADING)
    assert [_is_open(hand, stage, node) for node in range(4)] == [False, False, True, True]


def test_a_stage_stops_waiting_for_another_node_after_the_time_of_a_start_and_two_seconds_at_least() -> None:
    hand = Hand()
    hand.engine(0, 0, ENGINE_AWAKE)
    cold = hand.stage(ready_s=NOW_S - COLD_START_S)
    assert not _is_open(hand, cold, 1)
    hand.view.stages[0, cold].ready_s -= 0.1
    assert _is_open(hand, cold, 1)
    hand.engine(1, 0, ENGINE_ASLEEP)  # which wakes in 1 s
    asleep = hand.stage(ready_s=NOW_S - 2.0)
    assert not _is_open(hand, asleep, 1)
    hand.view.stages[0, asleep].ready_s -= 0.1
    assert _is_open(hand, asleep, 1)


def test_a_start_without_harm_takes_free_memory_and_engines_idle_for_as_long_as_it_lasts() -> None:
    hand = _crowded(1, 1, 0)
    stage = hand.stage(model=4)
    for used_s, harmless in ((NOW_S - COLD_START_S + 0.1, False), (NOW_S - COLD_START_S, True)):
        hand.view.engines[0, 0, 2].last_used_s = used_s
        assert _answer(gates.starts_without_harm, hand, stage, 0) == harmless
    hand.view.engines[0, 0, 2].last_used_s = NOW_S
    hand.view.nodes[0, 0].kv_pool_bytes = 18.2 * GB
    assert _answer(gates.starts_without_harm, hand, stage, 0)


def test_a_node_takes_newcomers_of_one_model_for_half_its_queue() -> None:
    hand = Hand()
    hand.engine(0, 2)
    hand.load(0, queued=6, model=2)  # of a model that is warm there, so no newcomers
    assert _answer(gates.takes_newcomer, hand, 0, 0)
    hand.load(0, queued=3, model=0)
    assert _answer(gates.takes_newcomer, hand, 0, 0)
    assert not _answer(gates.takes_newcomer, hand, 0, 1)
    hand.load(0, queued=4, model=0)
    assert not _answer(gates.takes_newcomer, hand, 0, 0)
    hand.load(0)
    hand.world.params.node_queue_limit = 1
    assert _answer(gates.takes_newcomer, hand, 0, 0)


def test_a_stage_that_was_sent_or_that_alone_can_move_the_fleet_on_must_go_somewhere() -> None:
    placement, choice = global_rule("fcfs/warm-jsq"), cluster_rule("warm-jsq")
    hand = Hand(num_clusters=2)
    stage = hand.stage()
    hand.engine(0, 0)
    hand.load(0, queued=8)
    hand.load(1, queued=8, model=1)
    hand.load(2, queued=1, model=2)  # the shorter queue, but of newcomers
    hand.engine(3, 1)
    hand.load(3, queued=2, model=1)
    assert [_is_open(hand, stage, node, GATE_FLEET) for node in (2, 3)] == [False, False]
    assert [_is_open(hand, stage, node, GATE_CLUSTER) for node in (2, 3)] == [False, True]
    hand.route(stage, 1)
    assert ask(choice, hand) == 3
    hand.load(3, queued=2, model=2)
    assert ask(choice, hand) == 2  # no node is open
    hand.ready(stage)
    assert ask(placement, hand) == 0
    hand.view.clock.wait_legal = 0
    assert ask(placement, hand) == 2  # stage 0 to cluster 1


def test_a_stage_that_finds_every_node_closed_keeps_later_ones_of_its_model_from_a_try() -> None:
    hand = Hand(nodes_per_cluster=1)
    hand.engine(0, 1, running=1)
    hand.load(0, running=1, reserved_gb=30.0)  # 24 GB left
    big, small = hand.stage(prompt=100_000), hand.stage(prompt=1000)

    def first(*stages: int) -> int:
        hand.ready(*stages)
        hand.view.model_memory[:] = 0.0
        oracle = box(hand.oracle, HIDDEN)
        return int(build.first_of(fcfs.RULE)(box(hand.view, VIEW), oracle, 0, GATE_FLEET))

    assert first(small) == small
    assert first(big, small) == -1
    assert first(big, small, hand.stage(model=2, prompt=100_000)) == -1
    hand.view.stages[0, big].model = 2
    assert first(big, small) == small
    hand.view.stages[0, big].model = 0
    hand.view.stages[0, big].prompt_tokens = 1_000_000  # more than any node could ever hold
    assert first(big, small) == small


def test_an_unwanted_engine_gives_way_once_it_has_been_idle_for_as_long_as_the_start_lasts() -> None:
    hand = _crowded(0)
    stage = hand.stage(model=4)
    hand.view.engines[0, 0, 0].last_used_s = NOW_S - COLD_START_S
    assert _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S, False)
    assert not _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S + 0.1, False)
    hand.queue(0, hand.stage(model=0, ready_s=NOW_S))
    assert not _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S, False)


def test_for_an_overdue_stage_gives_way_who_fell_idle_just_now_or_serves_younger_stages_and_has_stayed() -> None:
    hand = _crowded(0)
    stage = hand.stage(model=4, ready_s=NOW_S - 30.0)
    hand.view.stages[0, stage].queued_s = NOW_S  # patience counts from readiness, not from arrival at the node
    assert _answer(room.is_overdue, hand, stage, COLD_START_S)
    assert not _answer(room.is_overdue, hand, stage, 30.0)
    assert _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S, True)
    assert not _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S, False)
    served = hand.stage(model=0, ready_s=NOW_S - 29.0)
    hand.queue(0, served)
    for stayed_s, gives_way in ((COLD_START_S, True), (COLD_START_S - 0.1, False)):
        hand.view.engines[0, 0, 0].ready_s = NOW_S - stayed_s
        assert _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S, True) == gives_way
    hand.view.engines[0, 0, 0].ready_s = 0.0
    hand.view.stages[0, served].ready_s = NOW_S - 31.0
    assert not _answer(room.gives_way, hand, 0, 0, stage, COLD_START_S, True)


def test_a_sleepers_slot_may_be_taken_and_its_residue_only_by_an_overdue_stage_and_last() -> None:
    hand = _crowded(1, 1, 1, 1)
    stage = hand.stage(model=4, ready_s=NOW_S - 60.0)
    assert not _answer(room.has_spare_slot, hand, 0, stage, COLD_START_S, True)
    hand.view.engines[0, 0, 0].running = 0
    assert not _answer(room.has_spare_slot, hand, 0, stage, COLD_START_S, False)
    assert _answer(room.has_spare_slot, hand, 0, stage, COLD_START_S, True)
    hand.view.engines[0, 0, 0].last_used_s = 0.0
    assert _answer(room.has_spare_slot, hand, 0, stage, COLD_START_S, False)
    hand.view.engines[0, 0, 0].last_used_s = NOW_S
    hand.view.engines[0, 0, 3].status = ENGINE_ASLEEP
    hand.view.engines[0, 0, 3].running = 0
    assert _answer(room.has_spare_slot, hand, 0, stage, COLD_START_S, False)
    hand.view.engines[0, 0, 0].last_used_s = 0.0
    assert _answer(room.spare_bytes, hand, 0, stage, COLD_START_S, False) == 17.5 * GB
    # 0.5 GB of the sleeper, and 0.5 GB of the idle engine that sleeps then and may be ended too.
    assert _answer(room.spare_bytes, hand, 0, stage, COLD_START_S, True) == 18.5 * GB
    hand.view.engines[0, 0, 1].running = 0
    hand.queue(0, hand.stage(model=1, ready_s=NOW_S - 70.0))  # so this idle engine does not give way
    assert _answer(room.spare_bytes, hand, 0, stage, COLD_START_S, True) == 17.5 * GB


def test_a_stage_is_starved_if_it_is_overdue_and_lacks_memory_or_a_slot_and_nothing_else() -> None:
    def is_starved(hand: Hand, stage: int) -> bool:
        hand.queue(0, stage)
        return bool(_answer(serve.is_starved, hand, 0, 0, RESERVE_PROMPT))

    hand = _crowded(1, 1, 1, 1)
    assert is_starved(hand, hand.stage(model=4, ready_s=NOW_S - COLD_START_S - 0.1))
    assert not is_starved(hand, hand.stage(model=4, ready_s=NOW_S - COLD_START_S))
    hand.view.engines[0, 0, 3].running = 0  # a step can be taken: its room is enough
    assert not is_starved(hand, hand.stage(model=4, ready_s=NOW_S - COLD_START_S - 0.1))
    loading = Hand()
    loading.engine(0, 0, ENGINE_LOADING)
    assert not is_starved(loading, loading.stage(ready_s=0.0))
    for running, starved in ((7, True), (8, False)):  # of at most eight sequences
        full = Hand()
        full.engine(0, 0, running=running)
        full.load(0, running=running, reserved_gb=53.95)
        assert is_starved(full, full.stage(ready_s=0.0)) == starved
    hand = _crowded(1, 1, 1, 1)
    hand.queue(0, *(hand.stage(model=4, ready_s=ready_s, deadline_s=200.0 - ready_s) for ready_s in (0.0, 10.0, 99.0)))
    for order, first in ((fcfs.RULE, 0), (edf.RULE, 1)):  # the third, due first, has not waited long enough
        view, oracle = box(hand.view, VIEW), box(hand.oracle, HIDDEN)
        assert serve.first_starved(view, oracle, 0, 0, order.band, order.key, RESERVE_PROMPT, False) == first


def test_the_engines_with_the_fewest_stages_drain_for_a_starved_stage_and_no_more_than_it_takes() -> None:
    def drained(hand: Hand) -> list[bool]:
        return [bool(_answer(room.must_drain, hand, 0, slot, starved, RESERVE_PROMPT)) for slot in range(4)]

    hand = _crowded(3, 1, 3, 4, room_gb=1.0)
    starved = hand.stage(model=4, ready_s=NOW_S - 60.0)
    assert drained(hand) == [False, True, False, False]
    hand.view.nodes[0, 0].kv_pool_bytes = 0.5 * GB  # 17.6 GB are missing, one engine gives 17.5 GB
    assert drained(hand) == [True, True, False, False]
    hand.view.nodes[0, 0].kv_pool_bytes = 1.0 * GB
    older = hand.stage(model=1, ready_s=NOW_S - 61.0)
    hand.queue(0, older)
    assert drained(hand) == [True, False, False, False]
    other = hand.stage(model=0, ready_s=0.0)
    assert _answer(serve.holds_back, hand, 0, starved, other, STEP_ADMIT, RESERVE_PROMPT)
    assert not _answer(serve.holds_back, hand, 0, starved, older, STEP_ADMIT, RESERVE_PROMPT)
    assert not _answer(serve.holds_back, hand, 0, starved, other, STEP_PROMOTE, RESERVE_PROMPT)


def test_younger_stages_leave_the_memory_to_a_starved_one_whose_model_runs() -> None:
    hand = _crowded(1, 1)
    starved, younger, older = (hand.stage(model=0, ready_s=NOW_S - ago_s) for ago_s in (60.0, 59.0, 61.0))
    elsewhere = hand.stage(model=1, ready_s=NOW_S - 59.0)

    def held(starved: int) -> list[bool]:
        asked = (starved, younger, older, elsewhere)
        return [bool(_answer(serve.holds_back, hand, 0, starved, stage, STEP_ADMIT, RESERVE_PROMPT)) for stage in asked]

    assert held(starved) == [False, True, False, True]
    hand.world.params.partitioned = 1  # every engine has memory of its own
    assert held(starved) == [False, True, False, False]
    hand.world.params.partitioned = 0
    assert held(-1) == [False, False, False, False]


def test_the_first_in_order_among_the_stages_that_have_a_step_is_served() -> None:
    hand = Hand()
    hand.engine(0, 0, running=1)
    hand.load(0, running=1, reserved_gb=53.8)  # 0.2 GB left
    hand.queue(0, hand.stage(prompt=4000), hand.stage(prompt=1000), hand.stage(prompt=1000))

    def first(starved: int) -> int:
        view, oracle = box(hand.view, VIEW), box(hand.oracle, HIDDEN)
        return int(
            serve.first_served(view, oracle, 0, 0, fcfs.RULE.band, fcfs.RULE.key, RESERVE_PROMPT, False, starved)
        )

    assert first(-1) == 1
    hand.view.stages[0, 0].ready_s -= 60.0
    assert first(0) == -1  # the first is starved and the others are younger
    hand.view.nodes[0, 0].kv_reserved_bytes = 50 * GB
    assert first(-1) == 0


def test_a_model_that_nobody_has_displaces_others_when_its_wait_has_cost_as_much_as_theirs_would() -> None:
    hand = _crowded(2, 4, 4, nodes=3)
    hand.view.engines["running"][0, 0, 0] = 3
    hand.view.engines["running"][0, 2, 0] = 1
    hand.load(2, queued=1, model=3)  # so node 2, where the least would be lost, takes no other newcomer
    stages = [hand.stage(model=4, ready_s=NOW_S - COLD_START_S) for _ in range(3)]
    hand.ready(*stages)  # three stages have waited 66 s; node 1 would lose 22 s x (2 running + 1 soon)

    def node(gate: int = GATE_FLEET, expected: bool = False) -> int:
        return int(_answer(displacement.displacement_node, hand, stages[0], -1, gate, expected))

    assert node() == 1
    hand.view.engines["running"][0, 0, 0] = 1
    assert node() == 0
    hand.view.engines["running"][0, :2, 0] = 0
    hand.view.engines["last_used_s"][0, 0, 0] = NOW_S - 60.0  # half a stage, which counts as one
    hand.view.host_models["tier"][0, 0, 4] = DISK  # 26 s on node 0
    assert node() == 1
    hand.view.host_models["tier"][0, 0, 4] = CPU
    assert node() == 0
    hand.view.engines["running"][0, :2, 0] = 3, 2
    hand.view.models[0, 4].ready_sum_s += 0.1
    assert node() == -1
    assert node(GATE_CLUSTER) == 1
    assert [node(gate) for gate in (GATE_NONE, GATE_HOME)] == [-1, -1]
    hand.view.models[0, 4].ready_sum_s = 0.0
    assert node() == 1
    assert node(expected=True) == -1


def test_the_least_busy_engines_go_first_and_count_what_they_run_what_waits_and_what_may_come() -> None:
    hand = _crowded(5, 1, 0)
    hand.view.engines[0, 0, 2].last_used_s = NOW_S - 60.0  # half as likely to be asked for soon
    hand.load(0, queued=2, model=1)
    stage = hand.stage(model=4)

    def displaced(prompt: int, room_gb: float) -> float:
        hand.view.stages[0, stage].prompt_tokens = prompt
        hand.view.nodes[0, 0].kv_pool_bytes = room_gb * GB
        return float(_answer(displacement.displaced_stages, hand, stage, 0))

    assert displaced(1000, 18.2) == 0.0
    assert displaced(1000, 18.0) == 0.5
    assert displaced(1000, 0.0) == 0.5 + (1 + 2 + 1)
    assert displaced(200_000, 0.0) == 0.5 + (1 + 2 + 1) + (5 + 1)
    assert displaced(400_000, 0.0) == math.inf


def test_a_pinned_model_goes_to_its_home_nodes_whatever_is_warm() -> None:
    def homes(nodes: int, models: int) -> list[list[int]]:
        view = box(Hand(nodes_per_cluster=nodes, num_models=models).view, VIEW)
        return [[node for node in range(nodes) if home.is_home(view, model, node)] for model in range(models)]

    # Popularities 3, 2, 1: the spare node 3 goes to the model at the middle of the six.
    assert homes(4, 3) == [[0], [1, 3], [2]]
    assert homes(2, 5) == [[0], [1], [1], [0], [0]]
    hand = Hand(nodes_per_cluster=2, num_models=2)
    hand.world.models.popularity = 1.0
    assert [home.is_home(box(hand.view, VIEW), model, 0) for model in range(2)] == [True, False]
    hand = Hand(nodes_per_cluster=2, num_models=3)
    stage = hand.stage(model=0)
    hand.engine(0, 1, running=8)
    hand.engine(1, 0)
    hand.view.nodes[0, 0].kv_pool_bytes = 0.0
    assert [_is_open(hand, stage, node, GATE_HOME) for node in (0, 1)] == [True, False]
    hand.load(0, queued=1, model=2)
    assert not _is_open(hand, stage, 0, GATE_HOME)


def _rows() -> list[list[str]]:
    """The cells of the rows of the page's table of choices."""
    table = PAGE.read_text(encoding="utf-8").partition("| choice |")[2].partition("\n\n")[0]
    lines = table.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_names_every_test_of_this_file_and_functions_that_exist() -> None:
    rows = _rows()
    named = [re.findall(r"`(test_\w+)`", row[-1]) for row in rows]
    assert all(len(tests) == 1 for tests in named)
    written = re.findall(r"^def (test_\w+)", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)
    written.remove("test_the_page_names_every_test_of_this_file_and_functions_that_exist")
    assert sorted(test for tests in named for test in tests) == sorted(written)
    for row in rows:
        functions = re.findall(r"`(\w+)\.(\w+)`", row[-2])
        assert functions, row[0]
        for module, function in functions:
            assert hasattr(MODULES[module], function), f"{row[0]}: {module}.{function}"
