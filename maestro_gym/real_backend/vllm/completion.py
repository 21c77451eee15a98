"""One completion: what is asked of a server, and the answer as it grows while its stream runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.wire import Chunk, EngineTimes


@dataclass(frozen=True)
class Request:
    """One completion to ask for.

    Attributes:
        request_id: A unique id; the server's own id becomes ``cmpl-<request_id>``.
        prompt_ids: The token ids of the prompt.
        output_tokens: The exact number of tokens to make.
        priority: The priority, where the server schedules by it; the lowest goes first.
        adapter: The name of a loaded LoRA adapter that answers; empty for the model itself.
    """

    request_id: str
    prompt_ids: Sequence[int]
    output_tokens: int
    priority: int = 0
    adapter: str = ""


@dataclass
class Answer:
    """What has come of a request so far; the same object grows while the stream runs.

    Attributes:
        prompt_tokens: The length of the prompt as the server counted it; -1 before the server said it.
        output_tokens: The number of tokens that were made.
        cached_tokens: The prompt tokens from the server's prefix cache; None when the server does not say.
        token_ids: The token ids of the output; empty when the server does not give them.
        finish_reason: ``length``, ``stop`` or ``abort``; None while the stream runs.
        first_token_s: The controller's monotonic clock at the first token; None before it.
        last_token_s: The controller's monotonic clock at the latest token; None before the first.
        token_s: The times at which tokens came, one entry per chunk.
        engine: The engine's own times, where the server gives them.
    """

    prompt_tokens: int = -1
    output_tokens: int = 0
    cached_tokens: int | None = None
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    token_s: list[float] = field(default_factory=list)
    engine: EngineTimes | None = None

    def add(self, chunk: Chunk) -> bool:
        """Add a chunk of the stream.

        Args:
            chunk: The chunk.

        Returns:
            Whether the chunk brought tokens.

        Raises:
            NodeError: The counts of the chunk cannot be true.
        """
        now_s = time.monotonic()
        before = self.output_tokens
        for choice in chunk.choices:
            self.token_ids += choice.token_ids or []
            if choice.finish_reason is not None:
                self.finish_reason = choice.finish_reason
            if chunk.usage is None and (choice.token_ids or choice.text):
                self.output_tokens += len(choice.token_ids) if choice.token_ids else 1
        if chunk.usage is not None:
            if chunk.usage.completion_tokens < before:
                raise NodeError(Fault.MALFORMED, f"stream: token count fell from {before}")
            self.prompt_tokens = chunk.usage.prompt_tokens
            self.output_tokens = chunk.usage.completion_tokens
            details = chunk.usage.prompt_tokens_details
            if details is not None and details.cached_tokens is not None:
                self.cached_tokens = details.cached_tokens
        if self.token_ids and len(self.token_ids) != self.output_tokens:
            raise NodeError(Fault.MALFORMED, f"stream: {len(self.token_ids)} token ids for {self.output_tokens} tokens")
        if chunk.metrics is not None:
            self.engine = chunk.metrics
        if self.output_tokens == before:
            return False
        if self.first_token_s is None:
            self.first_token_s = now_s
        self.last_token_s = now_s
        self.token_s.append(now_s)
        return True

    def check_length(self, request: Request) -> None:
        """Check that no more has come than was asked for: a stream without an end would have none.

        Args:
            request: What was asked for.

        Raises:
            NodeError: There are more tokens.
        """
        if self.output_tokens > request.output_tokens:
            raise NodeError(
                Fault.MALFORMED, f"{self.output_tokens} tokens came, {request.output_tokens} were asked for"
            )

    def check_complete(self, request: Request, ended: bool) -> None:
        """Check that a stream that is over brought all that was asked for.

        Args:
            request: What was asked for.
            ended: Whether the server marked the end of the stream.

        Raises:
            NodeError: The stream ended early or was aborted, or the number of tokens is wrong.
        """
        if not ended or self.finish_reason is None:
            raise NodeError(Fault.DROPPED, f"the stream ended after {self.output_tokens} tokens")
        if self.finish_reason == "abort":
            raise NodeError(Fault.DROPPED, f"aborted by the server after {self.output_tokens} tokens")
        if self.output_tokens != request.output_tokens:
            raise NodeError(
                Fault.MALFORMED, f"{self.output_tokens} tokens came, {request.output_tokens} were asked for"
            )
