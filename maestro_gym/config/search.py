"""Settings of a search over whole episodes: what is searched, on which episodes, and what counts as better."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel


class PlaceConfig(StrictModel):
    """A scenario on which candidates are tried."""

    scenario: str = Field(default="quick", description="name or file of the scenario")
    overrides: list[str] = Field(default=[], description="dotted overrides, such as contention=high")
    weight: float = Field(default=1.0, gt=0, description="its share of the objective, relative to the other places")


class ObjectiveConfig(StrictModel):
    """What a candidate is worth, relative to the reference on the same episodes."""

    slo: float = Field(default=1.0, description="for each point of SLO attainment above the reference, as a share of 1")
    completion: float = Field(default=0.15, description="for mean completion below the reference, as a share of it")
    tail: float = Field(default=0.0, description="for 95th percentile completion below the reference, as a share of it")
    worst: float = Field(default=0.3, ge=0, le=1, description="weight of the worst episode; the rest is the mean's")
    class_limit: float | None = Field(
        default=0.01, ge=0, description="loss of SLO attainment of a class that is free; beyond it counts fivefold"
    )


class SearchConfig(StrictModel):
    """CMA-ES over the numbers of a family, by whole episodes."""

    places: list[PlaceConfig] = Field(
        default=[PlaceConfig(overrides=["contention=high"])], min_length=1, description="where candidates are tried"
    )
    reference: str = Field(default="maestro", description="policy that every candidate is held against")
    objective: ObjectiveConfig = Field(default=ObjectiveConfig(), description="what counts as better")
    numbers: list[str] = Field(default=[], description="numbers that are searched; empty: all of the family")
    start: str | None = Field(default=None, description="policy file to begin from; None: the family's own start")
    generations: int = Field(default=60, gt=0, description="rounds of candidates")
    population: int = Field(default=16, ge=4, description="candidates of a round")
    episodes: int = Field(default=2, gt=0, description="training episodes of a candidate at each place")
    spread: float = Field(default=1.0, gt=0, description="factor on the first steps of every number")
    horizon_s: float | None = Field(default=None, gt=0, description="arrivals end here in training [s]; None: as is")
    validate_every: int = Field(default=5, gt=0, description="generations between two validations")
    validation_episodes: int = Field(default=6, gt=0, description="validation episodes at each place")
    seed: int = Field(default=0, ge=0, description="of the search and of its episodes")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.numbers)) != len(self.numbers):
            raise ValueError("numbers repeat")
        return self
