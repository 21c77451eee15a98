"""What a family file of state machines may say: applications as learned walks over states.

A **state** is what a call is: an agent's role with its phase, and the tool that it calls, if any. All
lengths and gaps belong to a state, which makes them conditional on role, phase and tool intent. A
workflow is a walk: a number of calls is drawn, then the states, by the transition chances given that
the walk ends after exactly that many calls. Loops thereby run as often as the number of calls says.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_TOKENS, Weight
from maestro_gym.workloads.laws import AnyLaw

END = "end"
"""In a table of transitions: the workflow ends."""


class MachineRoleSpec(StrictModel):
    """An agent, as a scheduler sees it."""

    size: Literal["small", "medium", "large"] = Field(description="size of deployment it prefers")
    max_output_tokens: int = Field(gt=0, le=MOST_TOKENS, description="the client's limit [tokens]")
    system_tokens: int = Field(
        default=0, ge=0, le=MOST_TOKENS, description="system prompt, shared by all calls of the role [tokens]"
    )
    tools: int = Field(default=0, ge=0, le=10_000, description="tools that a call offers")
    thread: str | None = Field(
        default=None,
        description="context that its calls extend; roles may share one; none: every prompt is made afresh",
    )


class StateSpec(StrictModel):
    """A kind of call: role, phase and tool, with the laws of its lengths and what may follow."""

    role: str = Field(description="the agent")
    tool: str = Field(default="", description="the tool that the call calls; blank: it answers")
    output_tokens: AnyLaw = Field(description="output [tokens]")
    prompt_tokens: AnyLaw = Field(description="prompt of a call that begins its context, all of it [tokens]")
    grows_tokens: AnyLaw | None = Field(
        default=None,
        description="what its context gains until the next call, besides the output if that is kept [tokens]",
    )
    keeps_output: bool = Field(default=True, description="whether its output stays in its context")
    reset: float = Field(default=0.0, ge=0, le=1, description="chance that its context is made afresh after it")
    gap_s: AnyLaw | None = Field(default=None, description="from its end until the next call may start [s]")
    next: dict[str, Weight] = Field(min_length=1, description=f"state -> chance; `{END}`: the workflow may end here")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(self.next.values()) <= 0:
            raise ValueError(f"the chances of `next` add up to more than 0, got {self.next}")
        return self


class ContinuationSpec(StrictModel):
    """Workflows that go on with the context of an earlier one, such as turns of a conversation."""

    chance: float = Field(gt=0, lt=1, description="share of the workflows that continue one")
    lag_s: AnyLaw = Field(description="time since the arrival of the workflow continued [s]")
    context_tokens: AnyLaw = Field(
        description="context of one that began before the episode did, which no engine holds [tokens]"
    )


class JobEffectsSpec(StrictModel):
    """How much the calls of one workflow are alike: loadings of its own effects, 0 none to 1 all.

    A workflow has three effects, standard normal: on its number of calls (all of it), on outputs and on prompts.
    """

    output: float = Field(default=0.0, ge=0, lt=1, description="loading on output_tokens")
    prompt: float = Field(default=0.0, ge=0, lt=1, description="loading on prompt_tokens and grows_tokens")
    gap: float = Field(default=0.0, ge=0, lt=1, description="loading on gap_s")
    calls_output: float = Field(default=0.0, ge=-1, le=1, description="correlation of number of calls and outputs")
    calls_prompt: float = Field(default=0.0, ge=-1, le=1, description="correlation of number of calls and prompts")
    output_prompt: float = Field(default=0.0, ge=-1, le=1, description="correlation of outputs and prompts")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        a, b, c = self.calls_output, self.calls_prompt, self.output_prompt
        if 1 + 2 * a * b * c - a * a - b * b - c * c < -1e-6:
            raise ValueError(f"no three effects have the correlations {a}, {b} and {c} at once; bring them nearer to 0")
        return self


class YouthSpec(StrictModel):
    """Contexts that grow faster while they are young: agents read first and work then.

    What is gained after call n is 1 + extra * exp(-n / calls) times as much as much later.
    """

    extra: float = Field(gt=-1, le=1000, description="how much more the first call adds, as a share")
    calls: float = Field(gt=0, le=1e6, description="calls after which the excess has fallen to 1 / e")


class MachineSpec(StrictModel):
    """One application as a state machine."""

    cls: Literal["interactive", "batch"] = Field(alias="class", description="interactive or batch")
    share: float = Field(ge=1e-9, le=1e9, description="share of the workflows, relative to the others")
    deadline_s: float = Field(ge=1e-3, le=LONGEST_S, description="after the arrival [s]")
    ttft_limit_s: float = Field(ge=1e-3, le=LONGEST_S, description="TTFT limit of one of its stages [s]")
    weight: float = Field(default=1.0, ge=1e-9, le=1e9, description="weight of a workflow in the reward")
    calls: AnyLaw | None = Field(
        default=None, description="calls of a workflow; none: what the chances of ending make of themselves"
    )
    job_effects: JobEffectsSpec = Field(
        default=JobEffectsSpec.model_validate({}), description="how much the calls of a workflow are alike"
    )
    youth: YouthSpec | None = Field(default=None, description="how much faster contexts grow at first; none: alike")
    continues: ContinuationSpec | None = Field(default=None, description="workflows that go on with an earlier context")
    roles: dict[str, MachineRoleSpec] = Field(min_length=1, description="its agents")
    start: dict[str, Weight] = Field(min_length=1, description="state -> chance that a workflow begins with it")
    states: dict[str, StateSpec] = Field(min_length=1, description="its kinds of call")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if END in self.states:
            raise ValueError(f"a state may not be called `{END}`, which stands for the end of a workflow")
        for name, state in self.states.items():
            if state.role not in self.roles:
                raise ValueError(f"state `{name}` has role `{state.role}`, the application has {sorted(self.roles)}")
            self._check_states(f"`next` of state `{name}`", set(state.next) - {END})
        self._check_states("`start`", set(self.start))
        if sum(self.start.values()) <= 0:
            raise ValueError(f"the chances of `start` add up to more than 0, got {self.start}")
        shared: dict[str, tuple[str, int]] = {}
        for name, role in self.roles.items():
            if role.thread is not None and shared.setdefault(role.thread, (role.size, role.system_tokens)) != (
                role.size,
                role.system_tokens,
            ):
                raise ValueError(
                    f"role `{name}` shares thread `{role.thread}`, so it needs the same size and system_tokens"
                )
        if self.continues is not None and len(shared) != 1:
            raise ValueError(f"`continues` needs roles with one thread between them, got {sorted(shared) or 'none'}")
        return self

    def _check_states(self, place: str, names: set[str]) -> None:
        unknown = sorted(names - set(self.states))
        if unknown:
            raise ValueError(f"{place} names `{unknown[0]}`; the states are {sorted(self.states)}")


class FittedTraceSpec(StrictModel):
    """A trace that a family was fitted to."""

    file: str = Field(description="name of the file")
    format: str = Field(description="its format")
    source: str = Field(default="", description="where it was published, at which commit")
    workflows: int = Field(default=0, ge=0, le=10**12, description="workflows that were fitted; 0: the file holds none")
    rows: int = Field(ge=0, le=10**12, description="their calls, or the file's windows or requests")


class FittedSpec(StrictModel):
    """How a file came about."""

    date: str = Field(description="day of the fit")
    command: str = Field(description="what was run")
    traces: list[FittedTraceSpec] = Field(min_length=1, description="what it was fitted to")


class MachineFamilySpec(StrictModel):
    """A workload family of state machines: the content of one file of configs/workloads."""

    description: str = Field(description="what it models and where its numbers come from")
    fitted: FittedSpec | None = Field(default=None, description="how the file was made; none: written by hand")
    machines: dict[str, MachineSpec] = Field(min_length=1, description="applications by name")
    tenants: int = Field(default=8, gt=0, le=1024, description="tenants")
    tenant_skew: float = Field(default=0.7, ge=0, le=10, description="Zipf exponent of their shares")
    size_decay: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="how much less a role likes a deployment one size away from what it prefers",
    )
