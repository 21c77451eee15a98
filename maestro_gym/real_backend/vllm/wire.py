"""What a vLLM server's JSON may hold: checked, bounded, everything else ignored."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

_MOST_TOKENS = 2**24
Count = Annotated[int, Field(ge=0, le=_MOST_TOKENS)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class PromptDetails(_Wire):
    """Part of the usage with ``--enable-prompt-tokens-details``."""

    cached_tokens: Count | None = None


class Usage(_Wire):
    """Exact token counts of a request so far."""

    prompt_tokens: Count
    completion_tokens: Count = 0
    prompt_tokens_details: PromptDetails | None = None


class EngineTimes(_Wire):
    """Engine's own clock, with ``--enable-per-request-metrics``."""

    time_to_first_token_ms: Milliseconds | None = None
    generation_time_ms: Milliseconds | None = None
    queue_time_ms: Milliseconds | None = None
    mean_itl_ms: Milliseconds | None = None


class Choice(_Wire):
    """One piece of an answer."""

    text: str = Field(default="", max_length=2**20)
    finish_reason: str | None = Field(default=None, max_length=64)
    token_ids: list[Count] | None = Field(default=None, max_length=2**20)


class ErrorInner(_Wire):
    """What went wrong, in vLLM's words."""

    message: str = Field(default="", max_length=4000)
    code: int | None = None


class ErrorBody(_Wire):
    """What vLLM says with a status of 400 and above."""

    error: ErrorInner = ErrorInner()


class Chunk(_Wire):
    """One event of a stream of ``/v1/completions``; an error may come with status 200, a full queue does."""

    error: ErrorInner | None = None

    id: str = Field(default="", max_length=256)
    choices: list[Choice] = Field(default=[], max_length=1)
    usage: Usage | None = None
    metrics: EngineTimes | None = None


class ModelCard(_Wire):
    """One served model."""

    id: str = Field(max_length=512)
    max_model_len: int | None = Field(default=None, ge=1, le=_MOST_TOKENS)


class ModelList(_Wire):
    """Answer of ``/v1/models``."""

    data: list[ModelCard] = Field(max_length=1000)


class Version(_Wire):
    """Answer of ``/version``."""

    version: str = Field(max_length=100)


class Sleeping(_Wire):
    """Answer of ``/is_sleeping``."""

    is_sleeping: bool


class Success(_Wire):
    """Answer of ``/reset_prefix_cache``."""

    success: bool


W = TypeVar("W", bound=BaseModel)


def read_wire(model: type[W], body: bytes, what: str) -> W:
    """Read an untrusted JSON body.

    Args:
        model: What it should be.
        body: Already bounded in size.
        what: Name of the answer, for the log.

    Returns:
        The checked record.

    Raises:
        NodeError: It is something else.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NodeError(Fault.MALFORMED, f"{what}: {place} {first['msg']}") from None
