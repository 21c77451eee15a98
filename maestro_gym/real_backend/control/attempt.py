"""One attempt to have a stage served: a request that is under way on a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from maestro_gym.real_backend.vllm.completion import Answer
from maestro_gym.real_backend.vllm.server import Server


@dataclass
class Attempt:
    """One request for a stage.

    Attributes:
        stage: The id of the stage.
        number: How many times the stage was sent before.
        server: The server that it was sent to.
        prompt: The token ids of its prompt.
        kept: The output tokens of earlier attempts, which this one continues.
        begun: Whether the first token of this attempt has come.
        answer: What has come so far.
        task: The task that follows the stream of the answer.
    """

    stage: int
    number: int
    server: Server
    prompt: list[int]
    kept: list[int]
    begun: bool = False
    answer: Answer = field(default_factory=Answer)
    task: asyncio.Task[None] | None = None

    @property
    def tokens(self) -> list[int]:
        """The output of all attempts, as far as it is known as token ids."""
        return self.kept + self.answer.token_ids
