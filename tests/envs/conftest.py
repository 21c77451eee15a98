"""Windows of the tests open nowhere: SDL's dummy driver draws into memory."""

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
