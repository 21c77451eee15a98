"""The sweep of these tests, and what must be equal of two of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from maestro_gym.evaluation.compare import run_compare
from maestro_gym.evaluation.comparison import Comparison
from tests.evaluation.workers.jobs import UNTIL_SEED_TWO

POLICIES = ["fcfs", "maestro"]
SEEDS = [0, 1, 2]


def sweep(folder: Path, **settings: object) -> Comparison:
    with (folder.parent / "words.txt").open("a") as words:
        asked: dict[str, Any] = {"seeds": SEEDS, "overrides": ["horizon_s=60"], "console": Console(file=words)}
        return run_compare("toy", POLICIES, out=folder, **(asked | settings))[0]


def assert_equal(one: Path, other: Path) -> None:
    """All but the time that was spent: rows, workflows, the document and the files of settings."""
    assert (one / "workflows.parquet").read_bytes() == (other / "workflows.parquet").read_bytes()
    rows = [pd.read_parquet(folder / "results.parquet").drop(columns="wall_s") for folder in (one, other)]
    pd.testing.assert_frame_equal(*rows, check_exact=True)
    assert _document(one) == _document(other)
    texts = [[path.read_text() for path in sorted(folder.glob("config-*.yaml"))] for folder in (one, other)]
    assert texts[0] == texts[1]


def _document(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "results.json").read_text())
    for row in document["rows"]:
        del row["wall_s"]
    del document["run"]["created"], document["run"]["command"]
    return document


if __name__ == "__main__":
    sweep(Path(sys.argv[1]), jobs=2, runner=UNTIL_SEED_TWO)
