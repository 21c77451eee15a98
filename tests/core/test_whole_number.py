"""Digits without end end in words, wherever somebody may write them."""

from __future__ import annotations

import pytest

from maestro_gym.cli.console import seed_numbers
from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import VARIABLE, thread_count
from maestro_gym.core.whole_number import whole_number

ENDLESS = "9" * 5000


@pytest.mark.parametrize("text", ["", "-1", "1.0", "x", "²", " 1", ENDLESS])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    assert whole_number(text) is None


def test_a_whole_number_is_read() -> None:
    assert (whole_number("0"), whole_number("007"), whole_number("9" * 18)) == (0, 7, 10**18 - 1)


@pytest.mark.parametrize("seeds", [ENDLESS, f"0-{ENDLESS}", "0-99999999999"])
def test_seeds_without_end_are_refused(seeds: str) -> None:
    with pytest.raises(MaestroError, match="--seeds"):
        seed_numbers(seeds)


@pytest.mark.parametrize("index", [ENDLESS, "²"])
def test_an_index_that_is_no_number_is_refused(index: str) -> None:
    with pytest.raises(MaestroError, match="neither a name nor an index"):
        load_scenario("toy", [f"models.{index}.name=x"])


def test_threads_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ENDLESS)
    with pytest.raises(MaestroError, match="no number of threads"):
        thread_count()
