"""Words in an image: Pillow draws each once, and a copy of its pixels is blended into an array."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]


@functools.cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings, so that a picture does not depend on what fonts a machine has."""
    from matplotlib import get_data_path

    file = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(file, size_px, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=4096)
def coverage(text: str, size_px: int) -> np.ndarray:
    """How much of each pixel a line of text covers.

    Args:
        text: One line.
        size_px: Size of the font.

    Returns:
        Read-only array of float32, shape (height, width), 0 to 1; the height depends on the size alone.
    """
    font = _font(size_px)
    image = Image.new("L", (max(1, math.ceil(font.getlength(text))), math.ceil(1.3 * size_px)))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=font)
    pixels = np.asarray(image, np.float32) / 255.0
    pixels.setflags(write=False)
    return pixels


def write(
    canvas: np.ndarray,
    x: int,
    y: int,
    text: str,
    *,
    size_px: int,
    colour: Colour = (40, 40, 40),
    most_px: int | None = None,
    right: bool = False,
) -> int:
    """Write a line of text into an image; what does not fit is cut off.

    Args:
        canvas: Array of uint8, shape (height, width, 3), changed in place.
        x: Left end, or right end if ``right``, in pixels.
        y: Upper end.
        text: One line.
        size_px: Size of the font.
        colour: Red, green and blue, 0 to 255.
        most_px: Greatest width.
        right: Let the text end at x.

    Returns:
        Width of what was written, in pixels.
    """
    cover = coverage(text, size_px)[:, :most_px, None]
    left = max(0, x - cover.shape[1]) if right else x
    area = canvas[y : y + cover.shape[0], left : left + cover.shape[1]]
    area[:] = area + (np.array(colour) - area) * cover[: area.shape[0], : area.shape[1]]
    return area.shape[1]
