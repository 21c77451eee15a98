from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.predictors import Samples, samples_of
from maestro_gym.state import Episode
from maestro_gym.workloads import FamilyWorkload, load_family, make_deployments, unit_service

NAMES = tuple(f"model-{i}" for i in range(6))


@pytest.fixture(scope="session")
def service() -> np.ndarray:
    service = unit_service(6, 32768)
    service["prefill_base_s"] = 0.05
    service["prefill_s_per_token"] = 1e-4
    service["decode_s_per_token"] = np.linspace(0.01, 0.04, 6)
    return service


@pytest.fixture(scope="session")
def workload() -> FamilyWorkload:
    deployments = make_deployments(NAMES, [6, 5, 4, 3, 2, 1], ["small", "medium", "large"] * 2, [32768] * 6)
    return FamilyWorkload("maestro", load_family("maestro"), deployments)


@pytest.fixture(scope="session")
def episode(workload: FamilyWorkload, service: np.ndarray) -> Episode:
    return workload.episode(5, 3.0, 400.0, service)


@pytest.fixture(scope="session")
def history(workload: FamilyWorkload, service: np.ndarray) -> Episode:
    return workload.history(500, service)


@pytest.fixture(scope="session")
def samples(history: Episode, service: np.ndarray) -> Samples:
    return samples_of(history, service)
