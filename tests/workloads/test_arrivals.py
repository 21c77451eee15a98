from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.workloads import renewal_times_s


@pytest.mark.parametrize("cv", [0.5, 1.0, 2.5])
def test_gaps_have_the_rate_and_variation_asked_for(cv: float) -> None:
    gaps = np.diff(renewal_times_s(3, rate_rps=4.0, horizon_s=15_000.0, cv=cv), prepend=0.0)
    assert gaps.mean() == pytest.approx(0.25, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_arrivals_ascend_and_end_before_the_horizon() -> None:
    times_s = renewal_times_s(8, rate_rps=10.0, horizon_s=50.0, cv=3.0)
    assert np.all(np.diff(times_s) >= 0)
    assert times_s[-1] < 50.0


def test_another_key_gives_other_times() -> None:
    assert renewal_times_s(1, 1.0, 100.0)[0] != renewal_times_s(2, 1.0, 100.0)[0]


def test_a_rate_too_low_for_the_horizon_gives_an_empty_episode() -> None:
    assert len(renewal_times_s(1, 1e-9, 1.0)) == 0
