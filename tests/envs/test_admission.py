"""An agent of the global tier that may turn workflows away: its actions, what it sees of them, what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.envs.observation.layout import BLOCKS, TIER_SPECS
from tests.envs.walks import SMALL, make

WINDOW = 4
ON = (*SMALL, "limits.admission=true")


def test_a_rejection_of_each_place_of_the_window_stands_behind_all_sends() -> None:
    off, on = (make("Global", overrides=overrides, window=WINDOW) for overrides in (SMALL, ON))
    clusters = len(on.batch.scenario.world.latency_s)
    assert (off.action_space.n, on.action_space.n) == (1 + WINDOW * clusters, 1 + WINDOW * clusters + WINDOW)


def test_rejecting_pays_the_miss_and_the_time_to_the_deadline_and_shows_in_the_metrics() -> None:
    env = make("Global", overrides=ON, window=WINDOW, reward="weighted", illegal="raise", evaluation=True)
    observation, info = env.reset(seed=3)
    first = env.action_space.n - WINDOW
    names = [column.name for column in TIER_SPECS["global"].row_columns]
    rejected, ended = 0, False
    view, core = env.batch.state.visible, env.batch.state.core
    while not ended:
        offers = np.flatnonzero(info["action_mask"][first:])
        assert len(offers) > 0, "all are rejected at their arrival, so nothing else is ever asked"
        row = observation["candidates"][first + offers[0]]
        assert row[names.index("legal")] == 1.0
        assert not any(row[names.index(column.name)] for column in BLOCKS["kind"].columns)
        before_s = view.workflows[0]["rejected_s"].copy()
        residence = float(core.counters[0]["weighted_residence"])
        observation, _, terminated, truncated, info = env.step(first + int(offers[0]))
        view, core = env.batch.state.visible, env.batch.state.core
        gone = np.flatnonzero(np.isfinite(view.workflows[0]["rejected_s"]) & ~np.isfinite(before_s))
        assert len(gone) == 1
        workflow = view.workflows[0, gone[0]]
        left_s = float(workflow["weight"] * (workflow["deadline_s"] - workflow["rejected_s"]))
        # Nobody is in the system but those who arrived at the same instant.
        assert float(core.counters[0]["weighted_residence"]) - residence == pytest.approx(left_s, rel=1e-6)
        assert info["reward_terms"]["residence"] <= -left_s * (1 - 1e-6)
        assert info["reward_terms"]["slo_missed"] == pytest.approx(-30.0 * float(workflow["weight"]))
        rejected, ended = rejected + 1, terminated or truncated
    assert rejected == int(core.counters[0]["rejected"]) == int(core.counters[0]["arrived"]) > 0
    assert info["episode_metrics"]["shed_share"] == 1.0
    assert info["episode_metrics"]["slo_attainment"] == 0.0


def test_what_has_begun_is_not_offered_for_rejection() -> None:
    env = make("Global", overrides=ON, window=WINDOW, illegal="raise")
    _, info = env.reset(seed=0)
    first, begun_seen = env.action_space.n - WINDOW, 0
    for _ in range(200):
        view, codes = env.batch.state.visible, env.batch.buffers.codes[0]
        shown = env.batch.buffers.window[0]
        for k in np.flatnonzero(info["action_mask"][first:]):
            workflow = view.stages[0, shown[k]]["workflow"]
            assert np.isinf(view.workflows[0, workflow]["begun_s"])
            assert codes[first + k] > codes[1:first].max()
        begun_seen += int(np.isfinite(view.workflows[0]["begun_s"]).sum() > 0)
        sends = np.flatnonzero(info["action_mask"][1:first])
        _, _, terminated, truncated, info = env.step(1 + int(sends[0]) if len(sends) else 0)
        if terminated or truncated:
            break
    assert begun_seen > 0
