"""Every claim names comparisons, policies and metrics that there are, and a page tells of them all."""

from pathlib import Path

import pytest

from maestro_gym.baselines.registry import TABLE
from maestro_gym.episodes.metrics.row import metric_columns
from maestro_gym.evaluation.predictions.rivals import RIVALS
from maestro_gym.evaluation.reproduce.claims import CLAIMS, Claim
from maestro_gym.evaluation.reproduce.measure import DERIVED, Measure
from maestro_gym.evaluation.reproduce.plan import SIZES, Part, make_plan, missing


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Part]]:
    folder: Path = tmp_path_factory.mktemp("variants")
    return {name: {part.name: part for part in make_plan(size, folder)[0]} for name, size in SIZES.items()}


def _looked_at(claim: Claim, parts: dict[str, Part]) -> list[tuple[str, Measure]]:
    points = [name for name, part in parts.items() if part.policies == parts["load-1.5"].policies]
    return [(c.part, c.measure) for c in claim.conditions] + [(p, m) for p in points for _, m in claim.swept]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_measured_by_what_the_plan_runs(claim: Claim, size: str, plans: dict[str, dict[str, Part]]) -> None:
    parts = plans[size]
    for name, measure in _looked_at(claim, parts):
        if measure.kind == "study":
            assert measure.reference in RIVALS
        elif measure.kind != "latency":
            told = {f"{p}@{word}" for part in parts.values() for word in part.predictors for p in part.policies}
            assert measure.policy in {*parts[name].policies, *told}
            assert measure.kind == "level" or measure.reference in {
                *parts[measure.reference_part or name].policies,
                *told,
            }
            assert measure.column in {*metric_columns(), *DERIVED}


def test_claims_have_names_of_their_own() -> None:
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert len({claim.title for claim in CLAIMS}) == len(CLAIMS)


def test_every_policy_of_the_plan_is_there(plans: dict[str, dict[str, Part]]) -> None:
    named = {name for part in plans["full"].values() for name in part.policies}
    assert missing(sorted(named), list(TABLE)) == []
    assert missing(["edf@early", "nobody@early"], list(TABLE)) == ["nobody@early"]


def test_readings_of_two_comparisons_meet_the_same_arrivals(plans: dict[str, dict[str, Part]]) -> None:
    parts = plans["small"]
    for claim in CLAIMS:
        for condition in claim.conditions:
            if condition.measure.reference_part:
                own, theirs = parts[condition.part], parts[condition.measure.reference_part]
                assert (own.scenario, own.seeds) == (theirs.scenario, theirs.seeds)
                assert any(word.startswith("workload.rate_rps=") for word in theirs.overrides)
