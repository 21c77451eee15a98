"""Infos without nan."""

import math

import gymnasium
import pytest

from maestro_gym.envs import FiniteInfo

# No deadline has passed after five seconds, so nothing is known of SLO attainment.
FLEET = {"overrides": ("horizon_s=5",), "compare_with": "maestro"}


def _last_info(env: gymnasium.Env) -> dict:
    _, info = env.reset(seed=0)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(info["action_mask"].argmax())
        over = terminated or truncated
    return info


@pytest.mark.parametrize("name", ["episode_metrics", "reference_metrics"])
def test_what_could_not_be_measured_is_left_out_and_the_rest_stays(name: str) -> None:
    whole = _last_info(gymnasium.make("Maestro/Cluster-v0", **FLEET))[name]
    finite = _last_info(FiniteInfo(gymnasium.make("Maestro/Cluster-v0", **FLEET)))[name]
    assert math.isnan(whole["slo_attainment"])
    assert finite == {metric: value for metric, value in whole.items() if not math.isnan(value)}
    assert "cold_starts" in finite


def test_the_wrapper_is_written_into_the_spec_and_made_again_from_it() -> None:
    spec = FiniteInfo(gymnasium.make("Maestro/Cluster-v0")).spec
    assert spec is not None
    assert isinstance(gymnasium.make(spec), FiniteInfo)
