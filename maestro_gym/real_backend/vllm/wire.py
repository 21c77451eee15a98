"""What the JSON of a vLLM server may hold: it is checked and bounded, and everything else in it is ignored."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from maestro_gym.config.bounds import MOST_TOKENS
from maestro_gym.real_backend.vllm.keys import hide_keys
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

Count = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


Said = Annotated[str, AfterValidator(hide_keys)]
"""Words of a server, which may reach a log."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, protected_namespaces=())


class PromptDetails(_Wire):
    """The part of the usage that comes with ``--enable-prompt-tokens-details``."""

    cached_tokens: Count | None = None


class Usage(_Wire):
    """The exact token counts of a request so far."""

    prompt_tokens: Count
    completion_tokens: Count = 0
    prompt_tokens_details: PromptDetails | None = None


class EngineTimes(_Wire):
    """The times of a request by the engine's own clock, which come with ``--enable-per-request-metrics``."""

    time_to_first_token_ms: Milliseconds | None = None
    generation_time_ms: Milliseconds | None = None
    queue_time_ms: Milliseconds | None = None
    mean_itl_ms: Milliseconds | None = None


class Choice(_Wire):
    """One piece of an answer."""

    text: str = Field(default="", max_length=2**20)
    finish_reason: Said | None = Field(default=None, max_length=64)
    token_ids: list[Count] | None = Field(default=None, max_length=2**20)


class ErrorInner(_Wire):
    """What went wrong, in the words of vLLM."""

    message: Said = Field(default="", max_length=4000)
    code: int | None = Field(default=None, ge=100, le=599)


class ErrorBody(_Wire):
    """The body of an answer with a status of 400 or above."""

    error: ErrorInner = ErrorInner()


class Chunk(_Wire):
    """One event of a stream of ``/v1/completions``; an error may come with status 200, as that of a full queue does."""

    error: ErrorInner | None = None

    id: Said = Field(default="", max_length=256)
    choices: list[Choice] = Field(default=[], max_length=1)
    usage: Usage | None = None
    metrics: EngineTimes | None = None


class ModelCard(_Wire):
    """One served model."""

    id: Said = Field(max_length=512)
    max_model_len: int | None = Field(default=None, ge=1, le=MOST_TOKENS)


class ModelList(_Wire):
    """The answer of ``/v1/models``."""

    data: list[ModelCard] = Field(max_length=1000)


class Version(_Wire):
    """The answer of ``/version``."""

    version: Said = Field(max_length=100)


class Sleeping(_Wire):
    """The answer of ``/is_sleeping``."""

    is_sleeping: bool


class SchedulerInfo(_Wire):
    """The part of the configuration that is read."""

    policy: str = Field(default="", max_length=64)


class EngineInfo(_Wire):
    """The configuration of the engine."""

    scheduler_config: SchedulerInfo = SchedulerInfo()


class ServerInfo(_Wire):
    """The answer of ``/server_info``, which vLLM gives in its development mode only."""

    vllm_config: EngineInfo | None = None


class Success(_Wire):
    """The answer of ``/reset_prefix_cache``."""

    success: bool


W = TypeVar("W", bound=BaseModel)


def read_wire(model: type[W], body: bytes, what: str) -> W:
    """Read an untrusted JSON body.

    Args:
        model: The record that the body should be.
        body: The body, whose size was already bounded.
        what: The name of the answer, for the log.

    Returns:
        The checked record.

    Raises:
        NodeError: The body is something else.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NodeError(Fault.MALFORMED, f"{what}: {place} {first['msg']}") from None
