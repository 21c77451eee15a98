"""Pictures of a fleet: text for a terminal, an image of the last minute, and a window that shows it.

Start with ``display.py`` (what ``render_mode`` asks for), ``picture.py`` (what the image shows), ``places.py`` (where
it stands) and ``history.py`` (what is kept of the last minute). ``text.py`` is the same in characters, ``glyphs.py``
writes words into an image, and ``window.py`` is the window of ``render_mode="human"``.

Another thing to show is a field of `history.column_type`, filled in `History.note` and drawn in `FleetPicture.draw`.
"""

from maestro_gym.envs.render.display import FRAMES_PER_S, RENDER_MODES, VECTOR_RENDER_MODES, Display, check_render_mode
from maestro_gym.envs.render.picture import FleetPicture
from maestro_gym.envs.render.text import render_text

__all__ = [
    "FRAMES_PER_S",
    "RENDER_MODES",
    "VECTOR_RENDER_MODES",
    "Display",
    "FleetPicture",
    "check_render_mode",
    "render_text",
]
