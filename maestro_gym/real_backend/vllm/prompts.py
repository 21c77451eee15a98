"""Prompts as token ids, which share the prefixes that the workload says they share.

The prompt of a stage begins with the context of its workflow as the server saw it (the prompt and the output of the
stage before), or with the system prompt of its role; the rest is its own. A salt keeps a run from meeting the cached
prefixes of another.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.real_backend.fleet.tiny_model import FIRST_TEXT_TOKEN
from maestro_gym.state import Episode

_SYSTEM, _CONTEXT, _OWN = range(3)


class Prompts:
    """Makes the prompts of one run."""

    def __init__(self, episode: Episode, vocab: int, salt: int) -> None:
        """Prepare; no prompt is made yet.

        Args:
            episode: The episode whose stages are asked for.
            vocab: The size of the vocabulary: token ids lie below it.
            salt: A number that changes every token.
        """
        self._stages = episode.stages
        self._vocab, self._salt = vocab, salt
        self._contexts: dict[int, list[int]] = {}

    def of(self, stage: int) -> list[int]:
        """Make the prompt of a stage.

        Args:
            stage: A stage whose parents are finished, with their outputs kept by ``keep``.

        Returns:
            The token ids, as many as the prompt of the stage has tokens.
        """
        record = self._stages[stage]
        length = int(record["prompt_tokens"])
        shared = self._shared(int(record["ctx_group"]), int(record["ctx_prefix_tokens"]), _CONTEXT)
        system = self._shared(int(record["sys_group"]), int(record["sys_prefix_tokens"]), _SYSTEM)
        prompt = (shared if len(shared) >= len(system) else system)[:length]
        return prompt + self._draw(_OWN, stage, length - len(prompt))

    def keep(self, stage: int, prompt: list[int], output: list[int]) -> None:
        """Remember what a finished stage leaves as the context of its workflow.

        Args:
            stage: The stage.
            prompt: The token ids of the prompt that was sent.
            output: The token ids of the answer; empty when the server does not give them.
        """
        group = int(self._stages[stage]["ctx_group"])
        if group >= 0 and len(prompt) + len(output) > len(self._contexts.get(group, [])):
            self._contexts[group] = prompt + output

    def forget(self, stage: int) -> None:
        """Drop the context that a stage belongs to, because its workflow has finished."""
        self._contexts.pop(int(self._stages[stage]["ctx_group"]), None)

    def _shared(self, group: int, length: int, kind: int) -> list[int]:
        if group < 0 or length <= 0:
            return []
        known = self._contexts.get(group, [])[:length] if kind == _CONTEXT else []
        return known + self._draw(kind, group, length - len(known))

    def _draw(self, kind: int, entity: int, count: int) -> list[int]:
        generator = np.random.default_rng((self._salt, kind, entity))
        return generator.integers(FIRST_TEXT_TOKEN, self._vocab, size=max(0, count)).tolist()
