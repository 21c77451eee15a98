from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import renewal_times_s
from maestro_gym.workloads.arrivals.from_config import build_arrivals
from maestro_gym.workloads.arrivals.processes import (
    Client,
    Clients,
    Diurnal,
    MarkovModulated,
    Renewal,
    Replay,
    weibull_shape,
)


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


PROCESSES = {
    "gamma": Renewal(2.0),
    "mmpp": MarkovModulated(burst_rate=5.0, burst_share=0.1, burst_s=20.0),
    "diurnal": Diurnal((1.0, 0.0, 3.0, 2.0), period_s=400.0),
    "clients": Clients((Client(0.6, 1.0, "gamma"), Client(0.3, 4.0, "weibull"), Client(0.1, 6.0, "gamma"))),
    "replay": Replay(np.array([3.0, 4.0, 4.0, 9.0, 30.0])),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_keeps_the_rate_ascends_and_depends_on_its_key_alone(name: str) -> None:
    process = PROCESSES[name]
    counts = [len(process.times_s(key, 2.0, 4000.0)) for key in range(12)]
    assert np.mean(counts) == pytest.approx(8000, rel=0.06)
    times_s = process.times_s(4, 2.0, 4000.0)
    assert np.all(np.diff(times_s) >= 0)
    assert times_s[0] >= 0
    assert times_s[-1] < 4000.0
    assert np.array_equal(times_s, process.times_s(4, 2.0, 4000.0))
    assert any(not np.array_equal(times_s, process.times_s(key, 2.0, 4000.0)) for key in range(5, 12))


@pytest.mark.parametrize("name", PROCESSES)
def test_a_longer_horizon_only_adds_arrivals(name: str) -> None:
    short, long = (PROCESSES[name].times_s(9, 1.0, horizon_s) for horizon_s in (300.0, 900.0))
    assert short == pytest.approx(long[: len(short)])


@pytest.mark.parametrize("name", PROCESSES)
def test_short_episodes_have_the_rate_too(name: str) -> None:
    counts = [len(PROCESSES[name].times_s(key, 0.5, 100.0)) for key in range(600)]
    # A gamma process begins with an arrival, which gives (CV^2 - 1) / 2 more.
    wanted = 51.5 if name == "gamma" else 50.0
    assert np.mean(counts) == pytest.approx(wanted, rel=0.06)


def test_bursts_have_their_rate_and_share_of_the_time() -> None:
    process = MarkovModulated(burst_rate=8.0, burst_share=0.1, burst_s=50.0)
    times_s = process.times_s(2, 5.0, 60_000.0)
    counts = np.histogram(times_s, np.arange(0, 60_001, 10))[0]
    # Quiet: 5 * 0.2 / 0.9 = 1.1 a second; burst: 40 a second.
    burst = counts > 200
    assert burst.mean() == pytest.approx(0.1, abs=0.03)
    assert np.median(counts[burst]) / 10 == pytest.approx(40, rel=0.1)
    assert np.median(counts[~burst]) / 10 == pytest.approx(1.11, rel=0.15)
    assert counts.var() / counts.mean() > 50


def test_a_day_is_followed_from_its_phase() -> None:
    process = Diurnal((1.0, 0.0, 3.0), period_s=300.0, phase_s=150.0)
    times_s = process.times_s(1, 10.0, 300.0)
    counts = np.histogram(times_s, [0, 50, 150, 250, 300])[0]
    # Half of the empty part, the part of 3, the part of 1, half of the empty part; mean rate 10.
    assert counts[0] == counts[3] == 0
    assert counts[1] == pytest.approx(100 * 10 * 3 / (4 / 3), rel=0.1)
    assert counts[2] == pytest.approx(100 * 10 * 1 / (4 / 3), rel=0.15)


def test_a_day_without_a_phase_begins_at_a_time_of_its_own() -> None:
    process = Diurnal((1.0, 0.0), period_s=1000.0)
    counts = [len(process.times_s(key, 1.0, 100.0)) for key in range(40)]
    assert min(counts) == 0
    assert max(counts) > 150


@pytest.mark.parametrize("gaps", ["gamma", "weibull"])
def test_a_clients_gaps_have_its_variation(gaps: Literal["gamma", "weibull"]) -> None:
    times_s = Clients((Client(1.0, 3.0, gaps),)).times_s(6, 1.0, 60_000.0)
    found = np.diff(times_s)
    assert found.std() / found.mean() == pytest.approx(3.0, rel=0.1)


def test_the_shape_of_a_weibull_law_has_the_variation_asked_for() -> None:
    for cv in (0.4, 1.0, 2.5, 8.0):
        k = weibull_shape(cv)
        mean, square = math.gamma(1 + 1 / k), math.gamma(1 + 2 / k)
        assert math.sqrt(square / mean**2 - 1) == pytest.approx(cv, rel=1e-6)


def test_replayed_times_keep_their_pattern_and_take_the_rate() -> None:
    recorded_s = np.array([0.0, 1.0, 1.0, 10.0])
    times_s = Replay(recorded_s).times_s(3, 4.0, 5.0)
    gaps = np.diff(times_s)
    # Four arrivals a second on average: the pattern takes one second, its last gap is the mean one.
    pattern = np.array([1.0, 0.0, 9.0]) * 0.75 / 10
    wanted = np.tile([*pattern, 0.25], 6)
    start = next(i for i in range(4) if np.allclose(gaps[:8], wanted[i : i + 8]))
    assert np.allclose(gaps, np.tile([*pattern, 0.25], 8)[start : start + len(gaps)])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("workload.arrivals={process: mmpp, burst_rate: 20, burst_share: 0.2}", "above 1"),
        ("workload.arrivals={process: diurnal, profile: [0, 0]}", "not all 0"),
        ("workload.arrivals={process: replay}", "needs it"),
        ("workload.arrivals={trace: a.csv}", "process: replay"),
        ("workload.arrivals={process: mmpp, cv: 2}", "takes no cv"),
    ],
)
def test_a_process_that_cannot_be_is_refused(override: str, words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        load_scenario("quick", [override])


@pytest.mark.parametrize("override", ["{process: clients, clients: nobody}", "{process: diurnal, profile: nobody}"])
def test_an_unknown_file_of_arrivals_lists_those_that_exist(override: str) -> None:
    config = load_scenario("quick", [f"workload.arrivals={override}"])
    with pytest.raises(MaestroError, match="servegen_m_small"):
        build_arrivals(config.workload.arrivals)


def test_every_process_can_be_asked_for_by_a_scenario(tmp_path: Path, calls: pd.DataFrame) -> None:
    trace = tmp_path / "calls.csv"
    calls.to_csv(trace, index=False)
    for text in ("poisson", "gamma, cv: 2", "mmpp", "diurnal", "clients", f"replay, trace: {trace}"):
        config = load_scenario("quick", [f"workload.arrivals={{process: {text}}}"])
        assert len(build_arrivals(config.workload.arrivals).times_s(1, 1.0, 500.0)) > 0
