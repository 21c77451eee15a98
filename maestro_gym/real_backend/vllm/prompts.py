"""Prompts as token ids that share what the workload says they share.

A stage's prompt begins with its workflow's context as the server saw it (prompt and output of the stage before), or
with its role's system prompt; the rest is its own. A salt keeps runs from meeting each other's cached prefixes.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.real_backend.fleet.tiny_model import FIRST_TEXT_TOKEN
from maestro_gym.state import Episode

_SYSTEM, _CONTEXT, _OWN = range(3)


class Prompts:
    """Maker of the prompts of one run."""

    def __init__(self, episode: Episode, vocab: int, salt: int) -> None:
        """Prepare.

        Args:
            episode: Whose stages are asked for.
            vocab: Token ids are below it.
            salt: Changes every token.
        """
        self._stages = episode.stages
        self._vocab, self._salt = vocab, salt
        self._contexts: dict[int, list[int]] = {}

    def of(self, stage: int) -> list[int]:
        """Make the prompt of a stage.

        Args:
            stage: Its parents are finished, their outputs kept with ``keep``.

        Returns:
            As many token ids as its prompt has tokens.
        """
        record = self._stages[stage]
        length = int(record["prompt_tokens"])
        shared = self._shared(int(record["ctx_group"]), int(record["ctx_prefix_tokens"]), _CONTEXT)
        system = self._shared(int(record["sys_group"]), int(record["sys_prefix_tokens"]), _SYSTEM)
        prompt = (shared if len(shared) >= len(system) else system)[:length]
        return prompt + self._draw(_OWN, stage, length - len(prompt))

    def keep(self, stage: int, prompt: list[int], output: list[int]) -> None:
        """Remember what a finished stage leaves as its workflow's context.

        Args:
            stage: The stage.
            prompt: What was sent.
            output: Token ids of its answer, empty when the server does not tell them.
        """
        group = int(self._stages[stage]["ctx_group"])
        if group >= 0 and len(prompt) + len(output) > len(self._contexts.get(group, [])):
            self._contexts[group] = prompt + output

    def forget(self, stage: int) -> None:
        """Drop the context that a stage belongs to: its workflow is done."""
        self._contexts.pop(int(self._stages[stage]["ctx_group"]), None)

    def _shared(self, group: int, length: int, kind: int) -> list[int]:
        if group < 0 or length <= 0:
            return []
        known = self._contexts.get(group, [])[:length] if kind == _CONTEXT else []
        return known + self._draw(kind, group, length - len(known))

    def _draw(self, kind: int, entity: int, count: int) -> list[int]:
        generator = np.random.default_rng((self._salt, kind, entity))
        return generator.integers(FIRST_TEXT_TOKEN, self._vocab, size=max(0, count)).tolist()
