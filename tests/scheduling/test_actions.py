"""Codes of actions: what is made is read back, and nothing else is an action."""

from __future__ import annotations

from maestro_gym.core.compile import interpreted
from maestro_gym.scheduling.actions import (
    ACT_ADMIT,
    ACT_DEMOTE,
    ACT_NONE,
    ACT_PROMOTE,
    ACT_WAIT,
    WAIT,
    admit_code,
    demote_code,
    node_act,
    num_node_actions,
    promote_code,
    send_code,
    sent_cluster,
    sent_stage,
)
from maestro_gym.state import NUM_RESERVE_LEVELS
from tests.baselines.hand import Hand

VIEW = Hand(num_clusters=2, num_models=3).view
QUEUE = VIEW.node_queue.shape[2]


def test_a_sent_stage_and_its_cluster_are_read_back() -> None:
    for stage in range(5):
        for cluster in range(2):
            code = interpreted(send_code)(VIEW, stage, cluster)
            assert code != WAIT
            assert (interpreted(sent_stage)(VIEW, code), interpreted(sent_cluster)(VIEW, code)) == (stage, cluster)


def test_every_node_action_is_read_back_and_no_two_share_a_code() -> None:
    made = {WAIT: (ACT_WAIT, -1, -1)}
    for place in range(QUEUE):
        for level in range(NUM_RESERVE_LEVELS):
            made[interpreted(admit_code)(VIEW, place, level)] = (ACT_ADMIT, place, level)
    for model in range(3):
        made[interpreted(promote_code)(VIEW, model)] = (ACT_PROMOTE, model, -1)
        made[interpreted(demote_code)(VIEW, model)] = (ACT_DEMOTE, model, -1)
    assert sorted(made) == list(range(num_node_actions(QUEUE, 3)))
    assert {code: interpreted(node_act)(VIEW, code) for code in made} == made


def test_a_number_beyond_the_codes_is_no_action() -> None:
    for code in (-1, num_node_actions(QUEUE, 3)):
        assert interpreted(node_act)(VIEW, code) == (ACT_NONE, -1, -1)
