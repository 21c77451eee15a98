"""A finished episode on disk: equal to what was written, and nothing in it runs."""

import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.comparison import PolicyLabel
from maestro_gym.evaluation.episode_store import EpisodeStore
from maestro_gym.evaluation.kept_outcome import as_bytes, from_bytes
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.worker import Job, JobOutcome, Runner, run_job


@pytest.fixture(scope="module")
def outcome() -> JobOutcome:
    label = PolicyLabel("fcfs", ("a", "b", "c", "d"), "N", False)
    return run_job(
        Job("toy", ("horizon_s=20", "drain_s=60"), "high", "fcfs", label, "test", 0, drawn=True, runner=Runner())
    )


def _assert_equal(one: JobOutcome, other: JobOutcome) -> None:
    assert list(one.row) == list(other.row)
    assert [(type(v), v) for v in one.row.values() if v == v] == [(type(v), v) for v in other.row.values() if v == v]
    pd.testing.assert_frame_equal(one.workflows, other.workflows)
    pd.testing.assert_frame_equal(pd.DataFrame([one.row]), pd.DataFrame([other.row]))
    assert (one.trace is None) == (other.trace is None)
    for field in fields(Trace) if one.trace is not None else ():
        mine, theirs = getattr(one.trace, field.name), getattr(other.trace, field.name)
        assert type(mine) is type(theirs)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine == theirs


def test_an_outcome_comes_back_as_it_was(outcome: JobOutcome) -> None:
    _assert_equal(outcome, from_bytes(as_bytes(outcome)))
    _assert_equal(replace(outcome, trace=None), from_bytes(as_bytes(replace(outcome, trace=None))))


class _Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("content", [pickle.dumps(_Runs()), b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_what_is_no_outcome_is_refused_and_runs_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: JobOutcome
) -> None:
    monkeypatch.chdir(tmp_path)
    with EpisodeStore(tmp_path / "run", {}, {}, resume=False) as store:
        store.add(0, outcome)
        store._file.execute("INSERT INTO episodes VALUES (1, ?)", (content,))
    with EpisodeStore(tmp_path / "run", {}, {}, resume=True) as store, pytest.raises(MaestroError, match="episode 1"):
        store.read()
    assert not (tmp_path / "ran").exists()
