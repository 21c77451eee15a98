"""Fitted predictors are kept as plain arrays; a file that does not hold is not used."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.predictors import BoostedPredictor, Design, Samples
from maestro_gym.predictors.store import boosted, store_path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def few(samples: Samples) -> Samples:
    return samples.take(samples.workflow < 150)


@pytest.fixture(scope="module")
def kept(few: Samples, tmp_path_factory: pytest.TempPathFactory) -> tuple[BoostedPredictor, bytes]:
    """A predictor that was fitted, and the file that it left: fitting takes seconds, so it is done once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAESTRO_CACHE_DIR", str(tmp_path_factory.mktemp("kept")))
        predictor = boosted(few)
        return predictor, store_path(few, Design()).read_bytes()


@pytest.fixture
def fresh(kept: tuple[BoostedPredictor, bytes]) -> BoostedPredictor:
    return kept[0]


@pytest.fixture
def stored(few: Samples, kept: tuple[BoostedPredictor, bytes]) -> Path:
    """The file in the cache of this test."""
    path = store_path(few, Design())
    path.parent.mkdir(parents=True)
    path.write_bytes(kept[1])
    return path


def _alike(one: BoostedPredictor, other: BoostedPredictor, samples: Samples) -> bool:
    pairs = zip(one.predict(samples.features), other.predict(samples.features), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_what_is_kept_says_the_same(few: Samples, fresh: BoostedPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    first = boosted(few)
    monkeypatch.setattr("maestro_gym.predictors.boosted._fit", None)  # nothing is fitted again
    again = boosted(few)
    assert _alike(first, again, few)
    assert _alike(first, fresh, few)


def test_another_history_or_design_has_a_file_of_its_own(few: Samples) -> None:
    other = few.take(few.workflow < 149)
    paths = {store_path(*of) for of in ((few, Design()), (other, Design()), (few, Design(tool_stage=False)))}
    assert len(paths) == 3


class Harmful:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_in_the_cache_is_never_run(few: Samples, fresh: BoostedPredictor, tmp_path: Path) -> None:
    path, mark = store_path(few, Design()), tmp_path / "mark"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(Harmful(mark)))
    assert _alike(boosted(few), fresh, few)
    np.savez(path, calibration=np.array([Harmful(mark)], object))
    assert _alike(boosted(few), fresh, few)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10**6), ("right", -1), ("column", 99), ("left", 0), ("bits", 10**7)]
)
def test_trees_that_lead_astray_are_fitted_anew(
    few: Samples, fresh: BoostedPredictor, stored: Path, field: str, value: int
) -> None:
    with np.load(stored) as file:
        arrays = dict(file)
    nodes = arrays["tool.nodes"]
    inner = nodes["kind"] == 2 if field == "bits" else nodes["kind"] > 0
    nodes[field][np.flatnonzero(inner)[0]] = value
    np.savez(stored, **arrays)
    assert _alike(boosted(few), fresh, few)


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"no archive"])
def test_a_broken_file_is_written_anew(few: Samples, fresh: BoostedPredictor, stored: Path, spoil: object) -> None:
    whole = stored.read_bytes()
    stored.write_bytes(spoil(whole))  # type: ignore[operator]
    assert _alike(boosted(few), fresh, few)
    assert len(stored.read_bytes()) == len(whole)


def test_without_a_writable_cache_it_fits(
    few: Samples, fresh: BoostedPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path / "file"))
    assert _alike(boosted(few), fresh, few)
