"""Workers that are the cores of a Ray cluster: the same results as processes, on one node and on two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro_gym.agents.search.search import run_search
from maestro_gym.config.search import PlaceConfig, SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.workers import on_ray
from maestro_gym.evaluation.workers.choose import open_workers
from maestro_gym.evaluation.workers.workers import RETRIES
from tests.evaluation.workers.jobs import FOLDER, ONCE_KILLED, Deadly, mistaken, name_of, square
from tests.evaluation.workers.sweep import assert_equal, sweep

pytest.importorskip("ray", reason="Ray is not installed: pip install 'maestro-gym[ray]'")
pytestmark = pytest.mark.slow

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where jobs leave their marks."""
    return tmp_path_factory.mktemp("marks")


@pytest.fixture(scope="module")
def address(marks: Path) -> Iterator[str]:
    """Two nodes of one core each, on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (on_ray.SILENCE | on_ray.OWN_CLUSTER | {FOLDER: str(marks)}).items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        cluster.add_node(**NODE)
        yield cluster.address
        cluster.shutdown()


def _deadly(folder: Path, kills: int) -> list[Deadly]:
    return [Deadly(number, kills if number == 2 else 0, str(folder / f"{number}")) for number in range(4)]


def test_a_cluster_of_its_own_finds_what_one_process_finds(tmp_path: Path) -> None:
    sweep(tmp_path / "one", jobs=1)
    sweep(tmp_path / "ray", on="ray", jobs=2)
    assert_equal(tmp_path / "one", tmp_path / "ray")


def test_two_nodes_find_what_one_process_finds_also_when_a_worker_is_killed(
    tmp_path: Path, address: str, marks: Path
) -> None:
    sweep(tmp_path / "one", jobs=1)
    sweep(tmp_path / "two", on=address, runner=ONCE_KILLED)
    assert (marks / "killed").exists()
    assert_equal(tmp_path / "one", tmp_path / "two")


def test_a_job_whose_worker_dies_is_done_by_another(tmp_path: Path, address: str, marks: Path) -> None:
    with open_workers(address) as workers:
        assert workers.width == 2
        assert dict(workers.run(square, _deadly(tmp_path, RETRIES), name_of)) == {0: 0, 1: 1, 2: 4, 3: 9}
        with pytest.raises(MaestroError, match="job 2: 3 workers died"):
            list(workers.run(square, _deadly(marks, 99), name_of))


def test_an_unexpected_error_names_its_job_and_its_place(address: str) -> None:
    with open_workers(address) as workers, pytest.raises(ZeroDivisionError) as caught:
        list(workers.run(mistaken, [7], lambda job: f"job {job}"))
    assert "while running job 7" in caught.value.__notes__
    assert any("in mistaken" in note for note in caught.value.__notes__)


def test_a_node_with_other_sources_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "here", lambda: {"numpy": "0.1"})
    with open_workers(address) as workers, pytest.raises(MaestroError, match=r"numpy \(.*, asked for 0.1\)"):
        list(workers.run(mistaken, [7], str))


def test_a_cluster_that_is_not_there_is_named() -> None:
    with open_workers("127.0.0.1:9") as workers, pytest.raises(MaestroError, match="Ray cannot be reached"):
        list(workers.run(mistaken, [7], str))


def test_a_search_on_two_nodes_finds_what_threads_find_also_in_two_parts(tmp_path: Path, address: str) -> None:
    def config(generations: int) -> SearchConfig:
        return SearchConfig(
            places=[PlaceConfig(scenario="toy", overrides=["horizon_s=60", "contention=high"])],
            generations=generations,
            population=4,
            episodes=1,
            validate_every=1,
            validation_episodes=2,
        )

    whole = run_search(config(2), out=tmp_path / "whole")
    with open_workers(address) as workers:
        run_search(config(1), out=tmp_path / "parts", workers=workers)
    with open_workers(address) as workers:
        parts = run_search(config(2), resume=tmp_path / "parts", workers=workers)
    assert (parts.values, parts.worth, parts.validation) == (whole.values, whole.worth, whole.validation)
    assert (tmp_path / "parts/progress.csv").read_text() == (tmp_path / "whole/progress.csv").read_text()
