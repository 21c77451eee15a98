"""Experts that benchmarks of MoE layers make active."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.fidelity.experts import moe_layer, routed_experts

LAYER = moe_layer(hidden=4096, ffn=1536, experts=128, chosen=8)
TOKENS = np.array([1.0, 4.0, 16.0, 32.0, 256.0, 4096.0])
EVEN = 128 * (1 - (1 - 8 / 128) ** TOKENS)


def test_round_robin_leaves_no_expert_out_before_all_are_chosen() -> None:
    assert routed_experts("balanced", TOKENS, LAYER).tolist() == [8, 32, 128, 128, 128, 128]


def test_a_power_law_leaves_experts_out_that_even_choices_would_reach() -> None:
    active = routed_experts("power_law_1.2", TOKENS, LAYER)
    # Up to 16 tokens there are no more choices than experts, and these were measured as if they were even.
    assert active[:3] == pytest.approx(EVEN[:3])
    assert 8 < active[3] < EVEN[3] - 5
    assert active[4] < EVEN[4]
    assert active[5] == pytest.approx(128, abs=2)
    assert np.all(np.diff(active) > 0)


def test_it_is_the_same_every_time_and_any_other_word_means_even() -> None:
    law = "power_law_1.01"
    assert np.array_equal(routed_experts(law, TOKENS, LAYER), routed_experts(law, TOKENS, LAYER))
    for word in ("uniform", "power_law_steep"):
        assert routed_experts(word, TOKENS, LAYER) == pytest.approx(EVEN)


def test_an_exponent_of_one_is_the_limit_of_those_beside_it() -> None:
    below, at, above = (routed_experts(f"power_law_{word}", TOKENS, LAYER) for word in ("0.999", "1", "1.001"))
    assert at == pytest.approx(below, rel=0.01)
    assert at == pytest.approx(above, rel=0.01)
