"""What ``render_mode`` asks of an environment: text, an image, a window, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maestro_gym.core.errors import ArgumentValueError
from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.render.picture import FleetPicture
from maestro_gym.envs.render.text import render_text
from maestro_gym.envs.render.window import Window

RENDER_MODES = ("ansi", "rgb_array", "human")

VECTOR_RENDER_MODES = ("ansi", "rgb_array")
"""Those of many environments at once: a window shows one."""

FRAMES_PER_S = 30
"""Of a window and of a video, a decision each."""


class Display:
    """One environment of a batch as its ``render_mode`` asks.

    Without an image nothing is kept, and `note` returns at once.
    """

    def __init__(self, batch: AgentBatch, render_mode: str | None, e: int = 0) -> None:
        """Prepare; call `begin` after every reset and `note` after every step.

        Args:
            batch: The batch.
            render_mode: None or one of `RENDER_MODES`.
            e: The environment.

        Raises:
            gymnasium.error.DependencyNotInstalled: ``human`` without pygame.
        """
        self._batch, self._render_mode, self._e = batch, render_mode, e
        self._picture = FleetPicture(batch, e) if render_mode in ("rgb_array", "human") else None
        self._window = Window("maestro-gym", FRAMES_PER_S) if render_mode == "human" else None

    def begin(self) -> None:
        """Forget the episode before, and note the first decision of this one."""
        if self._picture is not None:
            self._picture.clear()
            self.note()

    def note(self) -> None:
        """Note the present decision, and show it if there is a window."""
        if self._picture is not None:
            self._picture.note()
            if self._window is not None:
                self._window.show(self._picture.draw())

    def render(self) -> str | np.ndarray | None:
        """Text with ``ansi``, an image with ``rgb_array``, otherwise None; an image is uint8, shape (640, 960, 3)."""
        if self._render_mode == "ansi":
            return render_text(self._batch, self._e)
        return self._picture.draw() if self._picture is not None and self._window is None else None

    def close(self) -> None:
        """Close the window if there is one."""
        if self._window is not None:
            self._window.close()


def check_render_mode(render_mode: str | None, known: Sequence[str]) -> str | None:
    """A render mode, if it exists.

    Args:
        render_mode: What was asked for.
        known: Those that exist.

    Raises:
        ArgumentValueError: It is neither None nor one of them.
    """
    if render_mode is not None and render_mode not in known:
        words = ", ".join(map(repr, known))
        raise ArgumentValueError(f"render_mode={render_mode!r} does not exist; pass None or one of {words}.")
    return render_mode
