"""Published routings, each on an instance whose answer its formula gives."""

from __future__ import annotations

import pytest

from tests.baselines.hand import Hand, ask, cluster_rule


def _node(hand: Hand, name: str) -> int:
    return ask(cluster_rule(name), hand)


def _warm_nodes(count: int) -> Hand:
    """Model 0 runs on every node, and a stage of it is to be placed."""
    hand = Hand(nodes_per_cluster=count)
    hand.route(hand.stage(prompt=2000))
    for node in range(count):
        hand.engine(node, 0)
    return hand


def _run(hand: Hand, node: int, model: int, count: int) -> None:
    """Let the engine of a model run a number of stages."""
    slot = int(hand.view.slot_of[0, node, model])
    hand.view.engines[0, node, slot].running = count
    hand.view.nodes[0, node].running = hand.view.engines[0, node].running.sum()


def _cache(hand: Hand, node: int, tokens: int, model: int = 0) -> None:
    """Let the engine of a model hold a part of the context of stage 0."""
    hand.view.stages[0, 0].ctx_group = 5
    hand.view.stages[0, 0].ctx_prefix_tokens = 1920
    slot = int(hand.view.slot_of[0, node, model])
    hand.view.prefix_groups[0, node, slot, 0] = 5
    hand.view.prefixes[0, node, slot, 0].tokens = tokens


def test_least_request_counts_the_requests_of_its_own_model_only() -> None:
    hand = _warm_nodes(2)
    hand.engine(0, 1)
    _run(hand, 0, 0, 1)
    _run(hand, 0, 1, 6)
    _run(hand, 1, 0, 2)
    assert _node(hand, "least-request") == 0
    assert _node(hand, "warm-jsq") == 1
    hand.load(0, queued=2, running=7)
    assert _node(hand, "least-request") == 1


@pytest.mark.parametrize(
    ("requests", "hits", "chosen"),
    [
        # Mean 2, deviation 1.4: the holder of more has no more than both together, so it is taken.
        ((3, 3, 0), (960, 1920, 0), 1),
        # Of equal matches the one with fewer requests.
        ((3, 2, 0), (960, 960, 0), 1),
        # Mean 2.7, deviation 3.1: the holder of most is beyond 5.7, the next holder is not.
        ((1, 7, 0), (960, 1920, 0), 0),
        # No holder is idle enough: the fewest requests.
        ((1, 7, 0), (0, 1920, 0), 2),
        # 12 > 2 (4.3 + 1) and 12 - 0 >= 8: only the idlest may match, and it holds nothing.
        ((1, 12, 0), (960, 1920, 0), 2),
        # The same, and the idlest holds a little.
        ((1, 12, 0), (960, 1920, 480), 2),
        # Nobody holds anything.
        ((2, 1, 3), (0, 0, 0), 1),
    ],
)
def test_prefix_cache_follows_the_longest_match_that_is_not_much_busier_than_the_rest(
    requests: tuple[int, ...], hits: tuple[int, ...], chosen: int
) -> None:
    hand = _warm_nodes(3)
    for node in range(3):
        _run(hand, node, 0, requests[node])
        _cache(hand, node, hits[node])
    assert _node(hand, "prefix-cache") == chosen
