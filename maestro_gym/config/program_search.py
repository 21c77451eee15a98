"""Settings of a program search: which rule is evolved, among which others, and on which episodes it is scored."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_SEEDS, Seed

RuleKind = Literal["order", "route"]
"""What the programs of a search decide: which ready stage goes next, or which node a stage goes to."""


class ProgramTask(StrictModel):
    """The task file of an exported benchmark."""

    rule: RuleKind = Field(default="order", description="what is evolved: the key of an order, or the cost of a node")
    around: str = Field(default="maestro", description="policy whose other rules stand around it, or plain")
    scenario: str = Field(default="quick", description="name or file of the scenario")
    overrides: list[str] = Field(default=["contention=high"], description="dotted overrides of the scenario")
    horizon_s: float | None = Field(
        default=240.0, gt=0, le=LONGEST_S, description="arrivals end here where programs are scored [s]; None: as is"
    )
    reference: str = Field(default="maestro", description="policy that every program is told about beside its own")
    seeds: list[Seed] = Field(
        default=[0, 1], min_length=1, max_length=MOST_SEEDS, description="training episodes that a program is scored by"
    )
    validation_seeds: list[Seed] = Field(
        default=[0, 1, 2, 3, 4, 5],
        min_length=1,
        max_length=MOST_SEEDS,
        description="validation episodes, whole, by which the one that is kept is chosen",
    )
    completion: float = Field(
        default=0.15, ge=0, le=1000, description="score for mean completion below the reference, as a share of it"
    )
    limit_s: float = Field(
        default=300.0, gt=0, le=LONGEST_S, description="time that a program has to be loaded, compiled and scored [s]"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name in ("seeds", "validation_seeds"):
            chosen = getattr(self, name)
            if len(set(chosen)) != len(chosen):
                raise ValueError(f"{name} repeat; an episode would count twice")
        return self
