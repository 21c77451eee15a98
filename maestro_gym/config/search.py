"""Settings of a search over whole episodes: what is searched, on which episodes, and what counts as better."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_LEARNER_SEED, Free, FreeInt


class PlaceConfig(StrictModel):
    """A scenario on which candidates are tried."""

    scenario: str = Field(default="quick", description="name or file of the scenario")
    overrides: list[str] = Field(default=[], description="dotted overrides, such as contention=high")
    weight: float = Field(
        default=1.0, ge=1e-9, le=1e9, description="its share of the objective, relative to the other places"
    )


class LimitConfig(StrictModel):
    """A metric that a candidate may make only so much worse than the reference does."""

    metric: str = Field(description="a column of docs/metrics.md, such as slo_attainment_batch or unfinished")
    most_loss: float = Field(
        ge=0,
        le=1000,
        description="loss that is free: of shares as it is, of other metrics as a share of the reference's value",
    )


class ObjectiveConfig(StrictModel):
    """What a candidate is worth, relative to the reference on the same episodes."""

    slo: float = Field(
        default=1.0,
        ge=-1000,
        le=1000,
        description="for each point of SLO attainment above the reference, as a share of 1",
    )
    completion: float = Field(
        default=0.15, ge=-1000, le=1000, description="for mean completion below the reference, as a share of it"
    )
    tail: float = Field(
        default=0.0,
        ge=-1000,
        le=1000,
        description="for 95th percentile completion below the reference, as a share of it",
    )
    worst: float = Field(default=0.3, ge=0, le=1, description="weight of the worst episode; the rest is the mean's")
    limits: list[LimitConfig] = Field(
        default=[LimitConfig(metric=f"slo_attainment_{name}", most_loss=0.01) for name in ("interactive", "batch")],
        description="what a candidate may lose at most, at each place",
    )
    penalty: float = Field(
        default=5.0,
        gt=0,
        le=1e6,
        description="objective that a loss of 1 beyond a limit costs, times the place's weight",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        metrics = [limit.metric for limit in self.limits]
        if len(set(metrics)) != len(metrics):
            raise ValueError("limits: a metric is limited twice")
        return self


class KnobConfig(StrictModel):
    """A limit of engines that is searched beside the numbers; arrivals stay those of the unchanged scenario."""

    path: str = Field(pattern=r"^limits\.\w+$", description="its place in a scenario, such as limits.max_num_seqs")
    levels: list[FreeInt | Free] = Field(
        min_length=2, max_length=4096, description="values that are tried, in rising order"
    )
    spread: float = Field(default=0.2, gt=0, le=10, description="first steps, as a share of the levels")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(low >= high for low, high in pairwise(self.levels)):
            raise ValueError("levels must rise")
        return self


class SearchConfig(StrictModel):
    """CMA-ES over the numbers of a family, by whole episodes."""

    places: list[PlaceConfig] = Field(
        default=[PlaceConfig(overrides=["contention=high"])], min_length=1, description="where candidates are tried"
    )
    reference: str = Field(default="maestro", description="policy that every candidate is held against")
    objective: ObjectiveConfig = Field(default=ObjectiveConfig(), description="what counts as better")
    family: str = Field(
        default="shaped",
        description="policy whose numbers are searched: shaped, a rival that has some, or FILE.py:RULE",
    )
    numbers: list[str] = Field(
        default=[], description="numbers that are searched, or parts of the family such as `order`; empty: all"
    )
    fixed: dict[str, Free] = Field(default={}, description="numbers that are held at a value, by name")
    knobs: list[KnobConfig] = Field(default=[], description="limits of engines that are searched beside the numbers")
    start: str | None = Field(
        default=None, description="policy, or its file, to begin from, or `defaults`; None: the family's own start"
    )
    generations: int = Field(default=60, gt=0, le=10**6, description="rounds of candidates")
    population: int = Field(default=16, ge=4, le=4096, description="candidates of a round")
    episodes: int = Field(default=2, gt=0, le=10_000, description="training episodes of a candidate at each place")
    spread: float = Field(default=1.0, gt=0, le=10, description="factor on the first steps of every number")
    horizon_s: float | None = Field(
        default=None, gt=0, le=LONGEST_S, description="arrivals end here in training [s]; None: as is"
    )
    validate_every: int = Field(default=5, gt=0, le=10**6, description="generations between two validations")
    validation_episodes: int = Field(default=6, gt=0, le=10_000, description="validation episodes at each place")
    seed: int = Field(default=0, ge=0, le=MOST_LEARNER_SEED, description="of the search and of its training episodes")
    wandb: Literal["off", "offline", "online"] = Field(default="off", description="Weights & Biases logging")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.numbers)) != len(self.numbers):
            raise ValueError("numbers repeat")
        paths = [knob.path for knob in self.knobs]
        if len(set(paths)) != len(paths):
            raise ValueError("knobs: a limit is searched twice")
        return self
