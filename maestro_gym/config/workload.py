"""What arrives, how fast, and what is predicted about it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.law import Law

CONTENTION_LOADS = {"low": 0.5, "medium": 0.8, "high": 1.1}
"""Offered load relative to capacity (design: workloads)."""


class ArrivalsConfig(StrictModel):
    """The process by which workflows arrive."""

    process: Literal["poisson", "gamma"] = Field(
        default="poisson", description="gamma: renewal process with the CV below"
    )
    cv: float = Field(default=1.0, gt=0, description="coefficient of variation of the gaps, if gamma")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.process == "poisson" and self.cv != 1.0:
            raise ValueError(f"a poisson process has cv 1, got {self.cv}; write process: gamma")
        return self


class RequestsConfig(StrictModel):
    """Single requests, drawn one by one: workflows of one call each."""

    prompt_tokens: Law = Field(description="prompt, shared prefix included [tokens]; a number or a law")
    output_tokens: Law = Field(description="answer [tokens]; a number or a law")
    prefix_tokens: Law = Field(
        default=Law.model_validate(0), description="leading prompt tokens that a group shares [tokens]; drawn a group"
    )
    prefix_groups: int = Field(default=1, gt=0, le=1_000_000, description="groups, drawn evenly")
    deadline_s: float = Field(default=60.0, gt=0, description="deadline after the arrival [s]; a chat user's patience")
    ttft_limit_s: float = Field(default=5.0, gt=0, description="TTFT limit [s]; likewise")


class WorkloadConfig(StrictModel):
    """A workload family, a trace or single requests, and the rate."""

    family: str | None = Field(default=None, description="a name of configs/workloads")
    trace: str | None = Field(default=None, description="a trace file, in place of a family")
    requests: RequestsConfig | None = Field(default=None, description="single requests, in place of a family")
    format: str = Field(default="auto", description="format of the trace; auto looks at its columns")
    trace_arrivals: Literal["own", "scaled", "process"] = Field(
        default="scaled",
        description="own: the trace's times; scaled: stretched to the rate; process: replaced by `arrivals`",
    )
    model_map: dict[str, str] = Field(
        default={}, description="model name of the trace -> deployment; `*` stands for the rest"
    )
    overlong: Literal["error", "clip", "drop"] = Field(
        default="error",
        description="a trace's call above its model's limit; clip: shorten its prompt; drop: its workflow",
    )
    arrivals: ArrivalsConfig = Field(default_factory=ArrivalsConfig, description="arrival process")
    load: float | None = Field(default=None, gt=0, description="offered load relative to capacity; None: by contention")
    rate_rps: float | None = Field(default=None, gt=0, description="workflows a second, in place of the load [1/s]")
    time_scale: float = Field(default=1.0, gt=0, description="multiplies deadlines, TTFT limits and tool gaps")
    initial_placement: Literal["warm", "cold"] = Field(
        default="warm", description="warm: popular models RUNNING at the start; cold: none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(given is not None for given in (self.family, self.trace, self.requests)) != 1:
            raise ValueError("give `family`, `trace` or `requests`, one of the three")
        return self


class PredictorConfig(StrictModel):
    """Which predictor annotates an episode."""

    kind: Literal["oracle", "boosted", "role_median", "constant", "noisy"] = Field(
        default="noisy",
        description="oracle: the truth; boosted: Maestro's two-stage trees; role_median: medians of the past by role; "
        "constant: one guess; noisy: the truth with error",
    )
    mae_tokens: float = Field(default=165.43, ge=0, description="error of noisy [tokens]; Maestro reports 165.43")
    auc: float = Field(default=0.9625, ge=0.5, le=1, description="tool classifier of noisy; Maestro reports 0.9625")
    constant_tokens: float = Field(default=256.0, gt=0, description="guess of constant [tokens]")
    history: int | None = Field(
        default=None,
        gt=0,
        description="past workflows that boosted and role_median learn from; None: as many as make 40,000 calls",
    )
