"""The small benchmark, to change or run once."""

from pathlib import Path

import pytest

from tests.evaluation.suite.small import Ran, Small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.made(tmp_path)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, Ran]:
    """The benchmark and its records, run once; tests change nothing of it."""
    made = Small.made(tmp_path_factory.mktemp("ran"))
    return made, made.run(made.policy, "oracle-srtf")
