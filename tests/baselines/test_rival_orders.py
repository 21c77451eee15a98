"""Each rival order on stages whose order follows from its formula by hand; the clock stands at 100 s."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from maestro_gym.baselines.registry import ORDERS
from maestro_gym.core.boxed import box
from maestro_gym.scheduling.actions import WAIT
from maestro_gym.scheduling.numbers import FIRST_OWN
from maestro_gym.state import BATCH
from maestro_gym.state.types import VIEW
from tests.baselines.hand import NOW_S, STAGES, Hand, ask, global_rule, make_oracle, order_key, order_of

Instance = Callable[[], tuple[Hand, list[int]]]
"""Makes stages, and says in which order they must go."""


def _qoserve() -> tuple[Hand, list[int]]:
    """Keys: 150 + 0.008 * 2,100 = 166.8, 160 + 0.008 * 600 = 164.8, 120: but 25 s of work cannot be done in 20 s."""
    hand = Hand()
    long = hand.stage(prompt=2000, output=100.0, deadline_s=150.0, remaining_s=10.0)
    short = hand.stage(prompt=500, output=100.0, deadline_s=160.0, remaining_s=5.0)
    hopeless = hand.stage(prompt=100, output=100.0, deadline_s=120.0, remaining_s=25.0)
    return hand, [short, long, hopeless]


def _edf_relegation() -> tuple[Hand, list[int]]:
    """Deadlines 120, 130, 140: the first would end at 125 and the third is over."""
    hand = Hand()
    hopeless = hand.stage(deadline_s=120.0, remaining_s=25.0)
    sooner, later = hand.stage(deadline_s=130.0, remaining_s=25.0), hand.stage(deadline_s=140.0, remaining_s=1.0)
    over = hand.stage(deadline_s=99.0, remaining_s=1.0)
    return hand, [sooner, later, over, hopeless]


def _srtf_relegation() -> tuple[Hand, list[int]]:
    """T_rem 2, 30, 5; the first has 1 s left for its 2 s."""
    hand = Hand()
    hopeless = hand.stage(deadline_s=101.0, remaining_s=2.0)
    long, short = hand.stage(deadline_s=200.0, remaining_s=30.0), hand.stage(deadline_s=200.0, remaining_s=5.0)
    return hand, [short, long, hopeless]


def _gedf() -> tuple[Hand, list[int]]:
    """Deadlines 205 and 209 are of the group 200 to 210, in it 1.1 s of service before 5.1 s; 211 is of the next."""
    hand = Hand()
    long, short = hand.stage(deadline_s=205.0, output=500.0), hand.stage(deadline_s=209.0, output=100.0)
    next_group = hand.stage(deadline_s=211.0, output=10.0)
    return hand, [short, long, next_group]


def _required_rate() -> tuple[Hand, list[int]]:
    """100 tokens in 10 s, 600 in 30 s; the deadline of the last is over."""
    hand = Hand()
    ten, twenty = hand.stage(output=100.0, deadline_s=110.0), hand.stage(output=100.0, deadline_s=130.0)
    late = hand.stage(output=50.0, deadline_s=90.0)
    hand.view.stages[0, twenty].remaining_output_tokens = 500.0
    return hand, [twenty, ten, late]


def _gateway_hold() -> tuple[Hand, list[int]]:
    """The nodes have 10 s and 20 s of work at the nominal batch of 16; the stages have 5 s, -5 s and 30 s of slack."""
    hand = Hand()
    hand.load(0, work_s=160.0)
    hand.load(1, work_s=320.0)
    held, hopeless = hand.stage(deadline_s=115.0), hand.stage(deadline_s=105.0)
    leaves = hand.stage(deadline_s=140.0)
    return hand, [leaves, held, hopeless]


def _plas() -> tuple[Hand, list[int]]:
    """Services 5, 1.9, 7 and 7 s are the levels 1, 0, 2 and 2; the last waits since 0 s for ten times its 7 s."""
    hand = Hand()
    first, least = hand.stage(ready_s=90.0), hand.stage(ready_s=95.0)
    most, starves = hand.stage(ready_s=80.0), hand.stage(ready_s=97.0)
    hand.view.workflows["attained_s"][0, :4] = [5.0, 1.9, 7.0, 7.0]
    hand.view.workflows[0, starves].arrival_s = 0.0
    return hand, [least, starves, first, most]


def _finished(hand: Hand, workflow: int, depth: int, service_s: float) -> int:
    """A finished call of a workflow."""
    stage = hand.stage(workflow=workflow, prompt=5000)
    row = hand.view.stages[0, stage]
    row.admitted_s, row.finished_s, row.depth, row.generated_tokens = 50.0, 50.0 + service_s, depth, 200
    return stage


def _atlas() -> tuple[Hand, list[int]]:
    """6.1 s in one call is level 2; 4 s beside 3 s is a path of 4 s, level 1, where PLAS sees 7 s, level 2."""
    hand = Hand()
    _finished(hand, 0, 0, 6.1)
    chain = hand.stage(workflow=0, ready_s=90.0, stages_done=1)
    _finished(hand, 1, 0, 4.0)
    _finished(hand, 1, 0, 3.0)
    parallel = hand.stage(workflow=1, ready_s=95.0, stages_done=2)
    hand.view.workflows["attained_s"][0, :2] = [6.1, 7.0]
    assert order_of("plas", hand, chain, parallel) == [chain, parallel]
    return hand, [parallel, chain]


def _spread(hand: Hand, median_s: float, q90_s: float) -> int:
    """A stage whose T_rem is uncertain."""
    stage = hand.stage(remaining_s=median_s)
    hand.view.stages[0, stage].remaining_s_q90 = q90_s
    return stage


def _kairos() -> tuple[Hand, list[int]]:
    """Means: 8 * exp(1.256**2 / 2) = 17.6 s, though the median is 8 s, and 10 s for certain."""
    hand = Hand()
    uncertain, certain = _spread(hand, 8.0, 40.0), _spread(hand, 10.0, 10.0)
    return hand, [certain, uncertain]


def _hermes() -> tuple[Hand, list[int]]:
    """10 s for certain cost 10 s a finish; median 10 and 90th percentile 100 less, by giving up after two seconds."""
    hand = Hand()
    certain, lottery, long = _spread(hand, 10.0, 10.0), _spread(hand, 10.0, 100.0), _spread(hand, 30.0, 30.0)
    assert order_of("kairos", hand, certain, lottery) == [certain, lottery]
    return hand, [lottery, certain, long]


def _qlm() -> tuple[Hand, list[int]]:
    """Model 0 runs where 1 s of work waits; a start of model 1 takes more than 20 s.

    In time with 90 %: 111 of 120 and 106 of 118, by deadline; then T_rem 3 and 10.
    """
    hand = Hand()
    hand.engine(0, 0)
    hand.load(0, work_s=16.0)
    cold = hand.stage(model=1, deadline_s=115.0, remaining_s=10.0)
    later = hand.stage(model=0, deadline_s=120.0, remaining_s=10.0)
    sooner = hand.stage(model=0, deadline_s=118.0, remaining_s=5.0)
    hopeless = hand.stage(model=0, deadline_s=101.0, remaining_s=3.0)
    return hand, [sooner, later, hopeless, cold]


def _justitia() -> tuple[Hand, list[int]]:
    """At 10 s a million: 90 + 105; 99 + 10.2 spent + 1.05 + 4.1 for two calls of 2,000 and 100 tokens; 95 + 1.05."""
    hand = Hand()
    large = hand.stage(ready_s=90.0, prompt=10_000, output=1000.0)
    _finished(hand, 1, 0, 1.0)
    begun = hand.stage(workflow=1, ready_s=99.0, prompt=1000, output=100.0, stages_done=1)
    row = hand.view.stages[0, begun]
    row.remaining_calls, row.remaining_input_tokens, row.remaining_output_tokens = 2.0, 4000.0, 200.0
    small = hand.stage(ready_s=95.0, prompt=1000, output=100.0)
    keys = [order_key("justitia", hand, stage) for stage in (large, begun, small)]
    assert keys == [90.0, 99.0, 95.0], "without numbers: arrivals"
    order_of("justitia", hand)
    assert [order_key("justitia", hand, stage) for stage in (large, begun, small)] == pytest.approx(
        [90.0 + 105.0, 99.0 + 10.2 + 1.05 + 4.1, 95.0 + 1.05]
    )
    return hand, [small, begun, large]


def _pythia() -> tuple[Hand, list[int]]:
    """Scores: 1/5 + 1/30, 1/1 + 1/30, 1/5 + 40/30."""
    hand = Hand()
    far, last, aged = hand.stage(), hand.stage(), hand.stage(ready_s=NOW_S - 40.0)
    hand.view.stages["remaining_calls"][0, [far, last, aged]] = [4.0, 0.0, 4.0]
    return hand, [aged, last, far]


def _llmsched() -> tuple[Hand, list[int]]:
    """As the means of kairos: in this decision nothing is explored."""
    return _kairos()


def _parrot() -> tuple[Hand, list[int]]:
    """The interactive workflow of 90 s, that of 95 s with 3 dependents before 1, then batch, though it came first."""
    hand = Hand()
    hand.oracle = make_oracle(STAGES)
    batch = hand.stage(cls=BATCH, ready_s=80.0)
    leaf, root = hand.stage(ready_s=95.0), hand.stage(workflow=1, ready_s=95.0)
    earlier = hand.stage(ready_s=90.0)
    hand.oracle.truth["remaining_calls"][0, [leaf, root]] = [1, 3]
    return hand, [earlier, root, leaf, batch]


def _teola() -> tuple[Hand, list[int]]:
    """Arrivals 91 and 93 are of one window of 5 s, the one with 4 calls to come first; 96 is of the next."""
    hand = Hand()
    flat, deep, next_window = hand.stage(ready_s=91.0), hand.stage(ready_s=93.0), hand.stage(ready_s=96.0)
    hand.view.stages["remaining_calls"][0, [flat, deep, next_window]] = [1.0, 4.0, 9.0]
    return hand, [deep, flat, next_window]


def _vtc() -> tuple[Hand, list[int]]:
    """Tenant 1 was served 5,000 + 2 * 200 tokens, tenant 2 the 5,000 of a prompt that still runs, tenant 3 nothing."""
    hand = Hand()
    hand.view.tenants["prompt_tokens"][0, [1, 2]], hand.view.tenants["output_tokens"][0, 1] = 5000.0, 200.0
    most, less, nothing = hand.stage(), hand.stage(), hand.stage()
    hand.view.workflows["tenant"][0, :3] = [1, 2, 3]
    return hand, [nothing, less, most]


def _vtc_predict() -> tuple[Hand, list[int]]:
    """5,000 + 2 * 150 and two running calls that count with 150 each: 5,900; 5,000 + 2 * 200, nothing runs: 5,400."""
    hand = Hand()
    more, less = hand.stage(), hand.stage()
    hand.view.workflows["tenant"][0, :2] = [1, 2]
    for tenant, output, admitted in ((1, 150.0, 3), (2, 200.0, 1)):
        row = hand.view.tenants[0, tenant]
        row.prompt_tokens, row.output_tokens, row.admitted, row.answered = 5000.0, output, admitted, 1
    return hand, [less, more]


def _dlpm() -> tuple[Hand, list[int]]:
    """A refill of 8,000: tenant 1 has credit, 512 tokens of its second call are cached; tenant 2 has used 9,000."""
    hand = Hand()
    without, cold, cached = hand.stage(), hand.stage(), hand.stage()
    hand.view.workflows["tenant"][0, :3] = [2, 1, 1]
    hand.view.tenants["prompt_tokens"][0, 2], hand.view.tenants["cached_tokens"][0, 2] = 12_000.0, 3000.0
    _cache(hand, 512, without, cached)
    hand.ready(without, cold, cached)
    return hand, [cached, cold, without]


def _karma() -> tuple[Hand, list[int]]:
    """Tenants 1 and 2 are above a share of nothing, tenant 2 with more credits; nobody was served since."""
    hand = Hand()
    poor, rich = hand.stage(ready_s=90.0), hand.stage(ready_s=95.0)
    hand.view.workflows["tenant"][0, :2] = [1, 2]
    hand.view.memory[0, 65] = NOW_S
    hand.view.tenant_memory[0, [1, 2], 0] = 100.0, 300.0
    return hand, [rich, poor]


def _weighted_quota() -> tuple[Hand, list[int]]:
    """Served 4,000 at a burst of 2,000 (10 s of 200) and a weight of 1; 5,000 at 2,000 and 4; 1,000 of 2,000; none."""
    hand = Hand()
    above, heavy, within, without = (hand.stage(ready_s=ready_s) for ready_s in (80.0, 90.0, 96.0, 95.0))
    hand.view.workflows["tenant"][0, :4] = [0, 1, 2, 3]
    hand.view.tenants["prompt_tokens"][0] = 4000.0, 5000.0, 1000.0, 9000.0
    hand.world.tenants["quota_tokens_per_s"][:3] = 200.0
    hand.world.tenants["weight"][1] = 4.0
    return hand, [without, within, heavy, above]


def _cache(hand: Hand, tokens: int, *stages: int) -> None:
    """The leading tokens of the stages' prompts are cached at node 0."""
    slot = hand.engine(0, 0)
    hand.view.prefix_groups[0, 0, slot, 0] = 5
    hand.view.prefixes[0, 0, slot, 0].tokens = tokens
    rows = hand.view.stages[0, list(stages)]
    rows["sys_group"], rows["sys_prefix_tokens"] = 5, tokens
    hand.view.stages[0, list(stages)] = rows


INSTANCES: dict[str, Instance] = {
    "qoserve": _qoserve,
    "edf-relegation": _edf_relegation,
    "srtf-relegation": _srtf_relegation,
    "gedf": _gedf,
    "required-rate": _required_rate,
    "gateway-hold": _gateway_hold,
    "plas": _plas,
    "atlas": _atlas,
    "kairos": _kairos,
    "hermes": _hermes,
    "qlm": _qlm,
    "justitia": _justitia,
    "pythia": _pythia,
    "llmsched": _llmsched,
    "parrot": _parrot,
    "teola": _teola,
    "vtc": _vtc,
    "vtc-predict": _vtc_predict,
    "dlpm": _dlpm,
    "karma": _karma,
    "weighted-quota": _weighted_quota,
}


@pytest.mark.parametrize("name", INSTANCES)
def test_an_order_sorts_as_its_formula_says(name: str) -> None:
    hand, expected = INSTANCES[name]()
    assert order_of(name, hand, *sorted(expected)) == expected
    assert expected != sorted(expected), "the order of readiness would do as well"


def test_qoserve_without_alpha_is_edf_and_with_a_large_one_the_shortest_work_first() -> None:
    hand = Hand()
    stages = hand.stage(prompt=3000, deadline_s=200.0), hand.stage(prompt=1000, deadline_s=300.0)
    by_alpha = {}
    for alpha in (0.0, 0.05):
        hand.view.numbers[0, FIRST_OWN] = alpha
        by_alpha[alpha] = [order_key("qoserve", hand, stage) for stage in stages]
    assert by_alpha[0.0] == [200.0, 300.0]
    assert by_alpha[0.05] == pytest.approx([200.0 + 155.0, 300.0 + 55.0])


def test_a_workflow_is_relegated_once_its_deadline_is_nearer_than_its_work() -> None:
    hand = Hand()
    first, second = hand.stage(deadline_s=NOW_S + 9.9, remaining_s=10.0), hand.stage(deadline_s=500.0)
    assert order_of("edf-relegation", hand, first, second) == [second, first]
    hand.view.workflows[0, first].deadline_s = NOW_S + 10.0
    assert order_of("edf-relegation", hand, first, second) == [first, second]


def test_a_held_stage_waits_at_the_gateway_until_the_load_falls_or_nothing_else_can_happen() -> None:
    hand, (leaves, held, hopeless) = _gateway_hold()
    hand.given(ORDERS["gateway-hold"])
    rule = global_rule("gateway-hold/jsq")
    hand.ready(held, hopeless, leaves)
    assert ask(rule, hand) == 1 + leaves
    hand.ready(held, hopeless)
    hand.view.clock.decisions = 1
    assert ask(rule, hand) == WAIT
    hand.view.clock.wait_legal, hand.view.clock.decisions = 0, 2
    assert ask(rule, hand) == 1 + held
    hand.view.clock.wait_legal, hand.view.clock.decisions = 1, 3
    hand.load(1, work_s=16.0)
    assert ask(rule, hand) == 1 + held
    hand.ready(hopeless)
    hand.view.clock.decisions = 4
    assert ask(rule, hand) == 1 + hopeless


def test_llmsched_explores_one_decision_in_ten_by_what_is_least_certain() -> None:
    hand = Hand()
    certain, uncertain = hand.stage(remaining_s=1.0), hand.stage(remaining_s=50.0)
    hand.view.stages["future_s_q90"][0, [certain, uncertain]] = [1.0, 40.0]
    firsts = []
    for decision in range(600):
        hand.view.clock.decisions = decision
        firsts.append(order_of("llmsched", hand, certain, uncertain)[0])
    assert 0.06 < firsts.count(uncertain) / 600 < 0.14


def test_a_starving_program_returns_to_the_first_level_at_the_moment_that_the_order_tells() -> None:
    hand = Hand()
    stage = hand.stage(ready_s=95.0)
    hand.view.workflows[0, stage].attained_s = 7.0
    hand.given(ORDERS["plas"])
    order, view = ORDERS["plas"], box(hand.view, VIEW)
    until_s = order.until(view, 0, stage)
    assert until_s == pytest.approx(95.0 + 7.0 + 10.0 * 7.0)
    for now_s, level in ((until_s, 2), (until_s + 1e-6, 0)):
        hand.view.clock.now_s = now_s
        assert order.band(view, 0, stage) == level


def test_a_tenant_that_returns_is_lifted_to_the_least_of_those_who_waited() -> None:
    hand, (idle, less, most) = _vtc()
    hand.given(ORDERS["vtc"])
    hand.ready(less, most)
    assert [order_key("vtc", hand, stage) for stage in (less, most)] == [5000.0, 5400.0]
    hand.view.clock.decisions = 1
    hand.ready(less, most, idle)
    assert order_key("vtc", hand, idle) == 5000.0, "it had nothing to serve while the others waited"
    hand.view.clock.decisions = 2
    hand.view.tenants[0, 3].prompt_tokens += 1000
    assert order_key("vtc", hand, idle) == 5000.0 + 1000.0
