"""The window of ``render_mode="human"``, by pygame, as Gymnasium's own environments have it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled


class Window:
    """A window on the screen that shows one image after another."""

    def __init__(self, title: str, frames_per_s: int) -> None:
        """Prepare; the window opens with the first image.

        Args:
            title: Of the window.
            frames_per_s: The most images that are shown in one second.

        Raises:
            DependencyNotInstalled: There is no pygame.
        """
        self._title, self._frames_per_s = title, frames_per_s
        self._screen: Any = None
        self._clock: Any = None
        _pygame()

    def show(self, image: np.ndarray) -> None:
        """Show an image, and wait as long as the number of images in a second asks.

        Args:
            image: Array of uint8, shape (height, width, 3).
        """
        pygame = _pygame()
        pixels = image.swapaxes(0, 1)
        if self._screen is None:
            pygame.display.init()
            self._screen = pygame.display.set_mode(pixels.shape[:2])
            self._clock = pygame.time.Clock()
            pygame.display.set_caption(self._title)
        pygame.surfarray.blit_array(self._screen, pixels)
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._frames_per_s)

    def close(self) -> None:
        """Close the window; the next image opens another."""
        if self._screen is not None:
            _pygame().display.quit()
            self._screen = self._clock = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what is on the screen: a copy opens a window of its own."""
        return {**self.__dict__, "_screen": None, "_clock": None}


def _pygame() -> Any:  # noqa: ANN401 - an optional module
    try:
        return importlib.import_module("pygame")
    except ImportError as missing:
        raise DependencyNotInstalled(
            'render_mode="human" shows its pictures in a window of pygame, which is not installed. Install it with '
            '`pip install "maestro-gym[render]"`, or pass render_mode="rgb_array" for pictures without a window.'
        ) from missing
