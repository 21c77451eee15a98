"""Verdicts follow from intervals by the rules that the page states."""

import dataclasses

import pytest

from maestro_gym.evaluation.reproduce.claims import CLAIMS, Claim
from maestro_gym.evaluation.reproduce.judge import Outcome, judge, outcome_of
from maestro_gym.evaluation.statistics import Interval

NAN = float("nan")
GAIN = dataclasses.replace(CLAIMS[0], figure=20.0, unit="points", direction="higher")
CUT = dataclasses.replace(CLAIMS[0], figure=-60.0, unit="%", direction="lower")
ANY = dataclasses.replace(GAIN, figure=None)


@pytest.mark.parametrize(
    ("claim", "low", "high", "expected"),
    [
        (GAIN, 21.0, 25.0, Outcome.REACHES),
        (GAIN, 15.0, 20.0, Outcome.REACHES),  # its better end is as good
        (GAIN, 1.0, 19.9, Outcome.SHORT),
        (GAIN, -1.0, 5.0, Outcome.NONE),
        (GAIN, -1.0, 25.0, Outcome.NOT_TOLD),
        (GAIN, -9.0, -1.0, Outcome.OPPOSITE),
        (CUT, -70.0, -61.0, Outcome.REACHES),
        (CUT, -59.0, -40.0, Outcome.SHORT),
        (CUT, 1.0, 9.0, Outcome.OPPOSITE),
        (ANY, 0.1, 3.0, Outcome.REACHES),
        (ANY, -0.1, 3.0, Outcome.NONE),
        (GAIN, NAN, NAN, Outcome.NOT_TOLD),
    ],
)
def test_a_difference_is_held_against_the_figure(claim: Claim, low: float, high: float, expected: Outcome) -> None:
    middle = 22.0 if low != low else (low + high) / 2
    assert outcome_of(claim, Interval(middle, low, high, 5), is_level=False) is expected


def test_of_a_level_zero_is_nothing_special() -> None:
    rate = dataclasses.replace(GAIN, figure=0.1, direction="lower", unit="%")
    assert outcome_of(rate, Interval(0.0, 0.0, 0.0, 5), is_level=True) is Outcome.REACHES
    assert outcome_of(rate, Interval(2.0, 1.0, 3.0, 5), is_level=True) is Outcome.SHORT


def test_what_was_not_measured_is_no_reading() -> None:
    assert outcome_of(GAIN, Interval(NAN, NAN, NAN, 0), is_level=False) is Outcome.NOT_MEASURED


def test_a_claim_holds_if_every_reading_that_was_told_reaches_it() -> None:
    readings = [("one", Outcome.REACHES), ("two", Outcome.REACHES), ("three", Outcome.NOT_MEASURED)]
    assert judge(readings).words == "holds under all 2 readings"
    assert judge(readings[1:]).words == "holds under the one reading"


def test_a_claim_that_some_readings_reach_holds_if_they_are_meant() -> None:
    verdict = judge([("against 8k; `paper`", Outcome.SHORT), ("against 32k; `paper`", Outcome.REACHES)])
    assert verdict.words == "holds if read against 32k; `paper`"


def test_a_reading_that_is_reached_on_every_fleet_is_named_once() -> None:
    outcomes = {"early": Outcome.REACHES, "late": Outcome.NONE}
    readings = [(f"{words}; `{fleet}`", outcomes[words]) for words in outcomes for fleet in ("paper", "quick")]
    assert judge(readings).because == "read early"


def test_sweeps_are_named_where_a_column_reaches_it_at_few_of_its_points() -> None:
    swept = [("edf at load 1", Outcome.SHORT), ("edf at load 2", Outcome.REACHES), ("edf at load 3", Outcome.NONE)]
    swept += [("early at load 1", Outcome.REACHES), ("early at load 2", Outcome.SHORT)]
    verdict = judge([("by deadline", Outcome.SHORT), ("by TTFT", Outcome.REACHES)], swept)
    assert verdict.because == "read by TTFT; in the sweeps also edf at load 2"


def test_a_claim_that_only_sweeps_reach_holds_there() -> None:
    swept = [("edf at load 1", Outcome.SHORT), ("edf at load 2", Outcome.REACHES), ("early at load 1", Outcome.REACHES)]
    verdict = judge([("by deadline", Outcome.SHORT)], swept)
    assert (verdict.word, verdict.because) == ("holds if", "as in the sweeps edf at load 2, early at every point")


def test_a_claim_that_nothing_reaches_does_not_hold() -> None:
    verdict = judge([("a", Outcome.SHORT), ("b", Outcome.OPPOSITE), ("c", Outcome.NONE)], [("d at 1", Outcome.SHORT)])
    assert verdict.words == "does not hold and falls short in 1 of 3 readings, goes the other way in 1"


def test_a_claim_without_a_told_reading_cannot_be_told() -> None:
    assert judge([("a", Outcome.NOT_TOLD), ("b", Outcome.NOT_MEASURED)]).word == "cannot be told"
