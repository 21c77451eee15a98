"""What a workflow has behind it, on a few rows by hand."""

from __future__ import annotations

import pytest

from maestro_gym.core.boxed import box
from maestro_gym.scheduling.history import completed_path_s, first_call, kv_token_time, spent_kv_token_time
from maestro_gym.state.types import VIEW
from tests.baselines.hand import Hand


def _workflows() -> tuple[Hand, int, int]:
    """A workflow of one call, then one of depth 0, twice 1, a row that is not ready, and 2; a stage of each."""
    hand = Hand()
    other = hand.stage()
    for depth, service_s in ((0, 2.0), (1, 5.0), (1, 3.0)):
        row = hand.view.stages[0, hand.stage(workflow=1, prompt=100)]
        row.depth, row.admitted_s, row.finished_s, row.generated_tokens = depth, 10.0, 10.0 + service_s, 10
    hand.view.stages[0, hand.stage(workflow=1)].workflow = -1
    return hand, other, hand.stage(workflow=1, stages_done=3)


def test_calls_are_found_around_blank_rows_and_not_beyond_their_workflow() -> None:
    hand, other, stage = _workflows()
    view = box(hand.view, VIEW)
    assert first_call(view, 0, stage) == 1
    assert first_call(view, 0, other) == 0


def test_the_path_takes_the_longest_call_of_each_depth_and_the_cost_takes_them_all() -> None:
    hand, other, stage = _workflows()
    view = box(hand.view, VIEW)
    assert completed_path_s(view, 0, stage) == pytest.approx(2.0 + 5.0)
    assert spent_kv_token_time(view, 0, stage) == pytest.approx(3 * (100 * 10 + 50))
    assert completed_path_s(view, 0, other) == spent_kv_token_time(view, 0, other) == 0.0


def test_a_call_holds_its_prompt_for_every_step_and_half_of_its_answer() -> None:
    assert kv_token_time(100.0, 10.0) == sum(100.0 + step + 0.5 for step in range(10))
