from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.workloads import Deployments, FamilyWorkload, load_family, make_deployments, unit_service
from maestro_gym.workloads.traces.format import COLUMNS

NUM_MODELS = 12


@pytest.fixture(scope="session")
def deployments() -> Deployments:
    names = tuple(f"model-{i}" for i in range(NUM_MODELS))
    popularity = [1 / (i + 1) ** 1.2 for i in range(NUM_MODELS)]
    sizes = ["small", "medium", "large"] * (NUM_MODELS // 3)
    return make_deployments(names, popularity, sizes, [32768] * NUM_MODELS)


@pytest.fixture(scope="session")
def service() -> np.ndarray:
    service = unit_service(NUM_MODELS, 32768)
    service["prefill_base_s"] = 0.05
    service["prefill_s_per_token"] = 1e-4
    service["decode_s_per_token"] = 0.02
    return service


@pytest.fixture(scope="session")
def maestro(deployments: Deployments) -> FamilyWorkload:
    return FamilyWorkload("maestro", load_family("maestro"), deployments)


@pytest.fixture(scope="session")
def traces_dir() -> Path:
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    folder = Path(os.environ.get("MAESTRO_DATA", beside)) / "traces"
    if not folder.is_dir():
        pytest.skip("no trace files: set MAESTRO_DATA to the folder that holds traces/")
    return folder


@pytest.fixture
def calls() -> pd.DataFrame:
    """A correct workflow trace: a diamond, a chain and two single calls."""
    rows = [
        ("w1", "plan", "", 0.0, "research", "planner", "model-2", 900, 260, 1024, 0.0, "batch", 600, 60),
        ("w1", "write", "left|right", 0.0, "research", "writer", "model-2", 4200, 1500, 4096, 0.0, "batch", 600, 60),
        ("w1", "left", "plan", 0.0, "research", "searcher", "model-0", 1400, 35, 512, 1.8, "batch", 600, 60),
        ("w1", "right", "plan", 0.0, "research", "searcher", "model-0", 1400, 40, 512, 0.9, "batch", 600, 60),
        ("w2", "a", "", 3.0, "chat", "assistant", "model-1", 300, 30, 1024, 0.5, "interactive", 60, 3),
        ("w2", "b", "a", 3.0, "chat", "assistant", "model-1", 380, 210, 1024, 0.0, "interactive", 60, 3),
        ("w3", "a", "", 4.0, "chat", "assistant", "model-1", 310, 120, 1024, 0.0, "interactive", 60, 3),
        ("w4", "a", "", 9.5, "chat", "assistant", "model-0", 120, 90, 1024, 0.0, "interactive", 60, 3),
    ]
    columns = [name for name, column in COLUMNS.items() if column.required]
    return pd.DataFrame(rows, columns=columns)
