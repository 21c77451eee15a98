"""A stage on its way through a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from maestro_gym.real_backend.vllm.client import Answer
from maestro_gym.real_backend.vllm.server import Server


@dataclass
class Attempt:
    """One sending of a stage.

    Attributes:
        stage: Id.
        number: How many times it was sent before.
        server: Where.
        prompt: Token ids of its prompt.
        kept: Output tokens of earlier attempts, which this one continues.
        begun: Whether its first token has come.
        answer: What has come so far.
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
        """Output known as token ids, of all attempts."""
        return self.kept + self.answer.token_ids
