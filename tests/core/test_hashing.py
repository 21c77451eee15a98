from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from maestro_gym.core import hashing

ROOT = Path(__file__).resolve().parents[2]


@njit
def _sample(key: int, count: int) -> np.ndarray:
    draws = np.empty((count, 5))
    for i in range(count):
        draws[i, 0] = hashing.uniform(key, 1, i)
        draws[i, 1] = hashing.normal(key, 2, i)
        draws[i, 2] = hashing.exponential(key, 3, i)
        draws[i, 3] = hashing.gamma(key, 4, i, 0.25)
        draws[i, 4] = hashing.gamma(key, 4, i, 4.0)
    return draws


def test_the_laws_have_their_moments() -> None:
    draws = _sample(7, 200_000)
    assert draws.mean(axis=0) == pytest.approx([0.5, 0.0, 1.0, 0.25, 4.0], abs=0.02)
    assert draws.std(axis=0) == pytest.approx([12**-0.5, 1.0, 1.0, 0.5, 2.0], abs=0.02)


def test_neighbouring_keys_purposes_and_entities_are_unrelated() -> None:
    base = np.array([hashing.uniform(1, 1, i) for i in range(4000)])
    others = {
        "entity": np.roll(base, 1),
        "key": np.array([hashing.uniform(2, 1, i) for i in range(4000)]),
        "purpose": np.array([hashing.uniform(1, 2, i) for i in range(4000)]),
        "high word": np.array([hashing.uniform(1, 1, i + 2**32) for i in range(4000)]),
    }
    for name, other in others.items():
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.06, name


def test_uniform_draws_fill_their_interval_evenly() -> None:
    counts = np.bincount((_sample(11, 100_000)[:, 0] * 20).astype(int), minlength=20)
    assert len(counts) == 20
    assert np.sum((counts - 5000.0) ** 2 / 5000.0) < 50.0


def test_every_value_is_in_range_for_extreme_arguments() -> None:
    for key in (0, -1, 2**62, -(2**62)):
        for entity in (0, -3, 2**55):
            assert 0 <= hashing.mix(key, 255, entity) < 2**62
            assert 0.0 <= hashing.uniform(key, 255, entity) < 1.0


SCRIPT = """
import hashlib, warnings
warnings.simplefilter("error")
import numpy as np
from maestro_gym.core import hashing
values = []
for key in (0, 5, -9, 2**61 + 3):
    for entity in (0, np.int64(7), 2**40 + 1):
        for draw in (hashing.mix, hashing.uniform, hashing.normal, hashing.exponential):
            values.append(float(draw(key, 12, entity)).hex())
        values.append(float(hashing.gamma(key, 12, entity, 0.5)).hex())
        values.append(float(hashing.gamma(key, 12, entity, 3.0)).hex())
from maestro_gym.workloads import FamilyWorkload, episode_key, load_family, make_deployments, unit_service
from maestro_gym.workloads import drawing
from maestro_gym.workloads.arrivals.processes import Renewal
from maestro_gym.predictors import OraclePredictor, NoisyPredictor, record
drawing._SAMPLE_WORKFLOWS = 200
deployments = make_deployments(("a", "b", "c"), [5, 3, 1], ["small", "large", "medium"], [8192, 32768, 16384])
service = unit_service(3)
service["decode_s_per_token"] = 0.02
made = FamilyWorkload("maestro", load_family("maestro"), deployments, arrivals=Renewal(2.0))
episode = made.episode(episode_key("test", 3, 1), 2.0, 60.0, service)
episode = record(episode, service, NoisyPredictor(100.0, 0.9).guess(episode, service, 5))
parts = list(episode)
for name in ("tool_dialogue", "conversation"):
    fitted = FamilyWorkload(name, load_family(name), deployments, arrivals=Renewal(2.0))
    parts += fitted.episode(episode_key("test", 3, 1), 1.0, 60.0, service)
for part in parts:
    values.append(hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest())
print(hashlib.sha256(repr(values).encode()).hexdigest(), len(episode.stages))
"""


def test_draws_and_episodes_are_the_same_interpreted_and_compiled_without_warnings() -> None:
    answers = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] == answers[1]
    assert int(answers[0].split()[1]) > 100
