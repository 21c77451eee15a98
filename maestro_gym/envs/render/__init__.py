"""Pictures of a fleet: text for a terminal, an image of the last minute, and a window that shows it.

Start with ``picture.py`` (what stands where in the image), ``history.py`` (what is kept of the last minute) and
``text.py`` (the same in characters). ``glyphs.py`` writes words into an image, and ``window.py`` is the window of
``render_mode="human"``.

Another thing to show is a field of `history.column_type`, filled in `History.note` and drawn in `FleetPicture.draw`.
"""

from maestro_gym.envs.render.picture import FleetPicture
from maestro_gym.envs.render.text import render_text
from maestro_gym.envs.render.window import Window

__all__ = ["FleetPicture", "Window", "render_text"]
