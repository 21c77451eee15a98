"""What a workload family file may say: applications, their roles, their stage graphs and laws."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_TOKENS, Chance
from maestro_gym.config.law import Law

SIZE_CLASSES = ("small", "medium", "large")
"""Sizes of a deployment that a role may ask for, in order; what is near in order is a fair stand-in."""


Arms = Annotated[int, Field(ge=1, le=16)]

NOTHING = Law.model_validate({"median": 0.0})


class RoleSpec(StrictModel):
    """An agent of an application."""

    size: Literal["small", "medium", "large"] = Field(description="size of deployment it prefers")
    system_tokens: int = Field(
        ge=0, le=MOST_TOKENS, description="system prompt, shared by all calls of the role [tokens]"
    )
    instruction_tokens: Law = Field(NOTHING, description="what a call adds besides context [tokens]")
    max_output_tokens: int = Field(gt=0, le=MOST_TOKENS, description="the client's limit [tokens]")
    answer_tokens: Law = Field(description="output of a call that answers [tokens]")
    tool_probability: float = Field(0.0, ge=0, le=1, description="chance that a call calls a tool")
    tools: int = Field(0, ge=0, le=10_000, description="tools that the call offers")
    tool_call_tokens: Law = Field(NOTHING, description="output of a call that calls a tool [tokens]")
    tool_result_tokens: Law = Field(NOTHING, description="what the tool adds to the context [tokens]")
    tool_gap_s: Law = Field(NOTHING, description="time the tool takes [s]")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tool_probability > 0 and (self.tools == 0 or self.tool_call_tokens.median < 1):
            raise ValueError("a role with tool_probability needs `tools` of 1 or more and `tool_call_tokens`")
        return self


class LoopSpec(StrictModel):
    """Steps that repeat: with a chance, or as long as the last call called a tool."""

    steps: list[StepSpec] = Field(min_length=1, description="the body")
    again: Chance | Literal["while_tool"] = Field(description="chance of another round, or `while_tool`")
    limit: int = Field(gt=0, le=32, description="rounds at most; with while_tool the last one answers")


class ArmSpec(StrictModel):
    """One way of a branch."""

    p: float = Field(ge=0, le=1, description="chance of this way; what the ways leave over skips the branch")
    steps: list[StepSpec] = Field(min_length=1, description="its steps")


class FanOutSpec(StrictModel):
    """Equal arms that run side by side; the step after them joins."""

    arms: tuple[Arms, Arms] = Field(strict=False, description="fewest and most arms, uniformly drawn")
    steps: list[StepSpec] = Field(min_length=1, description="the steps of an arm")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.arms[0] > self.arms[1]:
            raise ValueError(f"`arms` needs fewest <= most, got {list(self.arms)}")
        return self


class StepSpec(StrictModel):
    """One step of a stage graph: exactly one of call, loop, branch, fan_out."""

    call: str | None = Field(None, description="a role of the application")
    tool: float | None = Field(None, ge=0, le=1, description="chance of a tool call, in place of the role's")
    loop: LoopSpec | None = None
    branch: list[ArmSpec] | None = None
    fan_out: FanOutSpec | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [key for key in ("call", "loop", "branch", "fan_out") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"a step is exactly one of call, loop, branch, fan_out; got {given or 'none'}")
        if self.tool is not None and self.call is None:
            raise ValueError("`tool` belongs to a call")
        if self.branch is not None and sum(arm.p for arm in self.branch) > 1 + 1e-9:
            raise ValueError("the chances of a branch add up to more than 1")
        return self


def _surely_calls(steps: list[StepSpec]) -> bool:
    for step in steps:
        inner = step.loop or step.fan_out
        if step.call is not None or (inner is not None and _surely_calls(inner.steps)):
            return True
        if step.branch is not None and sum(arm.p for arm in step.branch) > 1 - 1e-9:
            return all(_surely_calls(arm.steps) for arm in step.branch)
    return False


class ApplicationSpec(StrictModel):
    """A workflow template with its constants."""

    cls: Literal["interactive", "batch"] = Field(alias="class", description="interactive or batch")
    share: float = Field(ge=1e-9, le=1e9, description="share of the workflows, relative to the others")
    deadline_s: float = Field(ge=1e-3, le=LONGEST_S, description="after the arrival [s]")
    ttft_limit_s: float = Field(ge=1e-3, le=LONGEST_S, description="TTFT limit of one of its stages [s]")
    weight: float = Field(1.0, ge=1e-9, le=1e9, description="weight of a workflow in the reward")
    context: Literal["shared", "thread"] = Field(
        "thread",
        description="thread: each role keeps a conversation of its own; shared: all roles extend one transcript",
    )
    query_tokens: Law = Field(description="what the user or the trigger gives [tokens]")
    roles: dict[str, RoleSpec] = Field(min_length=1, description="its agents")
    steps: list[StepSpec] = Field(min_length=1, description="its stage graph")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.context == "shared" and len({(r.size, r.system_tokens) for r in self.roles.values()}) > 1:
            raise ValueError("roles that share a transcript need the same size and system_tokens: they share a prompt")
        if not _surely_calls(self.steps):
            raise ValueError("the steps may end without any call; add a call that no branch can skip")
        self._check(self.steps, inside_fan_out=False)
        return self

    def _check(self, steps: list[StepSpec], inside_fan_out: bool) -> None:
        for step in steps:
            if step.call is not None and step.call not in self.roles:
                raise ValueError(f"step calls role `{step.call}`, the application has {sorted(self.roles)}")
            if step.loop is not None:
                self._check(step.loop.steps, inside_fan_out)
            for arm in step.branch or ():
                self._check(arm.steps, inside_fan_out)
            if step.fan_out is not None:
                if inside_fan_out or self.context == "shared":
                    raise ValueError("a fan_out may stand neither inside another nor where the context is shared")
                if not _surely_calls(step.fan_out.steps):
                    raise ValueError("an arm of a fan_out may end without any call; add one that no branch can skip")
                self._check(step.fan_out.steps, inside_fan_out=True)


class FamilySpec(StrictModel):
    """A workload family: the content of one file of configs/workloads."""

    description: str = Field(description="what it models and where its numbers come from")
    applications: dict[str, ApplicationSpec] = Field(min_length=1, description="workflow templates by name")
    tenants: int = Field(8, gt=0, le=1024, description="tenants")
    tenant_skew: float = Field(0.7, ge=0, le=10, description="Zipf exponent of their shares")
    size_decay: float = Field(
        0.2, gt=0, le=1, description="how much less a role likes a deployment one size away from what it prefers"
    )


LoopSpec.model_rebuild()
ArmSpec.model_rebuild()
FanOutSpec.model_rebuild()
