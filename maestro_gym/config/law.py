"""A law of lengths or times."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel


class Law(StrictModel):
    """A lognormal law, clipped; ``sigma: 0`` makes it a constant, and so does a bare number."""

    median: float = Field(ge=0, le=1e9, description="median, in the unit of the field")
    sigma: float = Field(0.0, ge=0, le=3, description="standard deviation of the logarithm")
    low: float = Field(0.0, ge=0, le=1e9, description="smallest value")
    high: float = Field(1e9, gt=0, le=1e9, description="largest value")

    @model_validator(mode="before")
    @classmethod
    def _constant(cls, value: Any) -> Any:  # noqa: ANN401 (raw YAML)
        bare = isinstance(value, int | float) and not isinstance(value, bool)
        return {"median": value} if bare else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.low <= self.median <= self.high:
            raise ValueError(f"a law needs low <= median <= high, got {self.low} <= {self.median} <= {self.high}")
        return self

    @property
    def largest(self) -> float:
        """Largest value that it can give."""
        return self.high if self.sigma > 0 and self.median > 0 else self.median
