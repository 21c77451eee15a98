"""What arrives, how fast, and what is predicted about it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_LOAD, MOST_RPS, MOST_TOKENS, Weight
from maestro_gym.config.contention import KneeConfig
from maestro_gym.config.law import Law


class ArrivalsConfig(StrictModel):
    """The process by which workflows arrive."""

    process: Literal["poisson", "gamma", "mmpp", "diurnal", "clients", "replay"] = Field(
        default="poisson",
        description="gamma: renewal with the CV below; mmpp: bursts; diurnal: a profile of the day; clients: a mixture "
        "of configs/arrivals; replay: the times of a trace, stretched to the rate",
    )
    cv: float = Field(
        default=1.0, ge=0.01, le=100, description="coefficient of variation of the gaps, if gamma or diurnal"
    )
    burst_rate: float = Field(default=4.0, gt=1, le=1e4, description="mmpp: rate in a burst, relative to the mean")
    burst_share: float = Field(default=0.1, ge=1e-6, lt=1, description="mmpp: share of the time in bursts")
    burst_s: float = Field(default=30.0, ge=1e-3, le=LONGEST_S, description="mmpp: mean length of a burst [s]")
    profile: str | list[Weight] = Field(
        default="servegen_m_small",
        description="diurnal: relative rates of equal parts of the day, or a name of configs/arrivals",
    )
    period_s: float = Field(default=86400.0, ge=1, le=LONGEST_S, description="diurnal: length of the day [s]")
    phase_s: float | None = Field(
        default=None,
        ge=0,
        le=LONGEST_S,
        description="diurnal: time of day at the start [s]; None: each episode its own",
    )
    clients: str = Field(default="servegen_m_small", description="clients: a name of configs/arrivals, or a YAML file")
    trace: str | None = Field(
        default=None, description="replay: a trace file in any known format, or a name of configs/traces"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.process not in ("gamma", "diurnal") and self.cv != 1.0:
            raise ValueError(f"a {self.process} process takes no cv, got {self.cv}; write process: gamma")
        if self.burst_rate * self.burst_share > 1:
            raise ValueError(
                f"burst_rate {self.burst_rate} times burst_share {self.burst_share} is above 1: bursts alone would "
                "exceed the mean rate; lower one of them"
            )
        if isinstance(self.profile, list) and sum(self.profile) <= 0:
            raise ValueError("profile needs relative rates of at least 0, not all 0")
        if (self.process == "replay") != (self.trace is not None):
            raise ValueError("`trace` belongs to process: replay, which needs it")
        return self


class RequestsConfig(StrictModel):
    """Single requests, drawn one by one: workflows of one call each."""

    prompt_tokens: Law = Field(description="prompt, shared prefix included [tokens]; a number or a law")
    output_tokens: Law = Field(description="answer [tokens]; a number or a law")
    prefix_tokens: Law = Field(
        default=Law.model_validate(0), description="leading prompt tokens that a group shares [tokens]; drawn a group"
    )
    prefix_groups: int = Field(default=1, gt=0, le=1_000_000, description="groups, drawn evenly")
    deadline_s: float = Field(
        default=60.0, ge=1e-3, le=LONGEST_S, description="deadline after the arrival [s]; a chat user's patience"
    )
    ttft_limit_s: float = Field(default=5.0, ge=1e-3, le=LONGEST_S, description="TTFT limit [s]; likewise")


class MixturePartConfig(StrictModel):
    """One family of a mixture."""

    family: str = Field(description="a name of configs/workloads, or a YAML file")
    share: float = Field(ge=1e-9, le=1e9, description="share of the workflows, relative to the other parts")
    tenants: int | None = Field(default=None, gt=0, le=1024, description="tenants of its own; None: the family's")
    arrivals: ArrivalsConfig | None = Field(default=None, description="None: as the workload's")


class TenantConfig(StrictModel):
    """What one tenant is entitled to."""

    weight: float = Field(
        default=1.0, ge=1e-6, le=1e6, description="share of the service, relative to the other tenants"
    )
    quota_tokens_per_s: float | None = Field(
        default=None,
        ge=1e-6,
        le=1e12,
        description="service that it has paid for, an output token counted twice [tokens/s]; None: no quota",
    )


class ToolConfig(StrictModel):
    """A type of tools that serves so many calls at once."""

    places: int = Field(gt=0, le=1_000_000, description="calls that it serves at once; others wait")
    roles: list[str] = Field(
        default=["*"],
        min_length=1,
        description="roles that call it, application.role, * for any letters; a role goes by the first type of the "
        "list that names it",
    )


class WorkloadConfig(StrictModel):
    """A workload family, several, a trace or single requests, and the rate."""

    family: str | None = Field(default=None, description="a name of configs/workloads")
    trace: str | None = Field(
        default=None, description="a trace file, or a name of configs/traces, in place of a family"
    )
    mixture: list[MixturePartConfig] | None = Field(
        default=None, min_length=1, description="several families side by side, in place of one"
    )
    requests: RequestsConfig | None = Field(default=None, description="single requests, in place of a family")
    popularity: str | None = Field(
        default=None,
        description="a name of configs/popularity: shares by rank, given to the deployments in the order of the "
        "scenario, in place of their own popularity",
    )
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
    load: float | None = Field(
        default=None, ge=1e-6, le=MOST_LOAD, description="offered load relative to capacity; None: by contention"
    )
    rate_rps: float | None = Field(
        default=None, ge=1e-9, le=MOST_RPS, description="workflows a second, in place of the load [1/s]"
    )
    knee: KneeConfig | None = Field(
        default=None, description="where the backlog stops draining; None: not measured, labels are parts of capacity"
    )
    tenants: dict[str, TenantConfig] | None = Field(
        default=None,
        description="weights and quotas by the names of tenants, tenant-0 and so on, behind PART/ in a mixture; who is "
        "not named has weight 1 and no quota",
    )
    tools: dict[str, ToolConfig] | None = Field(
        default=None,
        min_length=1,
        description="types of tools with finite places, by name: a stage that calls a tool waits for one; None: every "
        "call runs at once",
    )
    time_scale: float = Field(
        default=1.0, ge=1e-3, le=1000, description="multiplies deadlines, TTFT limits and tool gaps"
    )
    initial_placement: Literal["warm", "cold"] = Field(
        default="warm", description="warm: popular models RUNNING at the start; cold: none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        kinds = (self.family, self.mixture, self.trace, self.requests)
        if sum(given is not None for given in kinds) != 1:
            raise ValueError("give `family`, `mixture`, `trace` or `requests`, one of the four")
        return self


class PredictorConfig(StrictModel):
    """Which predictor annotates an episode."""

    kind: Literal["oracle", "boosted", "role_median", "constant", "noisy"] = Field(
        default="noisy",
        description="oracle: the truth; boosted: Maestro's two-stage trees; role_median: medians of the past by role; "
        "constant: one guess; noisy: the truth with error",
    )
    mae_tokens: float = Field(
        default=165.43, ge=0, le=1e6, description="error of noisy [tokens]; Maestro reports 165.43"
    )
    auc: float = Field(default=0.9625, ge=0.5, le=1, description="tool classifier of noisy; Maestro reports 0.9625")
    constant_tokens: float = Field(default=256.0, gt=0, le=MOST_TOKENS, description="guess of constant [tokens]")
    history: int | None = Field(
        default=None,
        gt=0,
        le=10**6,
        description="past workflows that boosted and role_median learn from; None: as many as make 40,000 calls",
    )
