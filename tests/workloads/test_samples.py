"""The small traces that come with the package, named without a path."""

import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.workloads.traces.files import find_trace, import_trace


@pytest.mark.parametrize(
    ("name", "expected_format", "workflows", "calls"),
    [("sample", "workflow", 69, 197), ("sample_requests", "requests", 184, 184), ("sample_spans", "otel", 6, 27)],
)
def test_a_sample_is_found_by_its_bare_name(name: str, expected_format: str, workflows: int, calls: int) -> None:
    read = import_trace(name)
    assert (read.format, len(read.trace.workflows), len(read.trace.stages)) == (expected_format, workflows, calls)


def test_the_sample_needs_no_other_setting_to_be_replayed() -> None:
    scenario = Scenario.load("quick", ("workload.trace=sample", "horizon_s=60"))
    assert len(scenario.episode("test", 0, 0).workflows) > 100


def test_a_path_is_left_alone() -> None:
    assert str(find_trace("mine.csv")) == "mine.csv"
    assert str(find_trace("folder/mine")) == "folder/mine"


def test_an_unknown_name_is_answered_with_the_nearest_sample() -> None:
    with pytest.raises(MaestroError, match=r"no `sampel` in configs/traces\. Did you mean `sample`\?"):
        find_trace("sampel")
