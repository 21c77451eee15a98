"""What the events of a log must hold to be gone on from or replayed; the rest of a line is free."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maestro_gym.core.errors import MaestroError

VERSION = 1

_Seconds = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Event(BaseModel):
    """Any event."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    event: str = Field(max_length=64, description="kind, see docs/live.md")
    time_s: _Seconds = Field(description="on the run's clock [s]")


class Header(_Event):
    """The first line."""

    version: Literal[1]
    run_id: str = Field(pattern="^[0-9a-f]{1,32}$", description="of the first controller")
    policy: str = Field(max_length=1024, description="as in tables")
    policy_spec: str = Field(max_length=4096, description="what loads it")
    split: Literal["train", "validation", "test"]
    seed: int = Field(ge=0, le=2**63 - 1)
    index: _Count
    stages: _Count = Field(description="of the episode")
    started_unix_s: float = Field(ge=0, le=1e11, allow_inf_nan=False, description="wall clock at the start [s]")


class Times(BaseModel):
    """When a finished stage went where."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    ready_s: _Seconds
    sent_s: _Seconds
    queued_s: _Seconds
    admitted_s: _Seconds
    first_token_s: _Seconds
    node: _Count


class Finish(_Event):
    """A stage was delivered."""

    stage: _Count
    tokens: _Count
    times: Times


_CHECKED = {"run": Header, "finish": Finish}


def check_event(event: Any, *, first: bool, place: str) -> dict[str, Any]:  # noqa: ANN401 - whatever a line holds
    """Hold an event against what a reader of the log relies on.

    Args:
        event: What the line holds.
        first: Whether it is the first line, which must be the header.
        place: File and line, for the error.

    Returns:
        The event.

    Raises:
        MaestroError: It is no such event.
    """
    kind, version = (event.get(key) if isinstance(event, dict) else None for key in ("event", "version"))
    if first and (kind != "run" or version != VERSION):
        raise MaestroError(f"{place}: not an event log of version {VERSION}; resume with the version that wrote it.")
    model = _CHECKED.get(kind, _Event) if isinstance(kind, str) else _Event
    try:
        model.model_validate(event)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, wrong["loc"])) or "the line"
        raise MaestroError(
            f"{place}: {field}: {wrong['msg']}. The log is damaged, or was not written by a live run."
        ) from None
    return event
