"""What the page shows, as a video: frame by frame in a browser without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import whole_file
from maestro_gym.evaluation.progress import WorkProgress

FORMATS = (".mp4", ".webm", ".gif")
"""Endings of videos."""

FRAMES_PER_S = 12
_CODECS = {".mp4": "libx264", ".webm": "libvpx-vp9"}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WAIT_MS = 60_000


def demand_film(path: Path) -> None:
    """Refuse a video that cannot be made, before an episode is run for it.

    Args:
        path: The video.

    Raises:
        MaestroError: Its ending is of no format, or a package is missing.
    """
    if path.suffix not in FORMATS:
        raise MaestroError(f"--video {path}: the ending says the format; name a file in {', '.join(FORMATS)}.")
    missing = [name for name in ("playwright", "moviepy") if find_spec(name) is None]
    if missing:
        raise MaestroError(f"--video {path}: needs {' and '.join(missing)}; pip install 'maestro-gym[render]'.")


def film(address: str, path: Path, *, seconds: float = 20.0, width: int = 1280, height: int = 800) -> Path:
    """Play the whole episode and save what is seen.

    Args:
        address: Of the page.
        path: The video; its folder is made.
        seconds: How long the video is [s].
        width: Of the picture [px].
        height: Of the picture [px].

    Returns:
        The video.

    Raises:
        MaestroError: There is no browser, or the file cannot be written.
    """
    from moviepy import ImageSequenceClip

    frames = max(2, round(seconds * FRAMES_PER_S))
    with (
        TemporaryDirectory() as beside,
        browser_page(width, height) as page,
        WorkProgress("filming", "frames", frames) as shown,
    ):
        page.goto(f"{address}?film")
        page.wait_for_selector("body[data-ready]", timeout=_WAIT_MS)
        files = []
        for frame in range(frames):
            page.evaluate("part => watch.showPart(part)", frame / (frames - 1))
            files.append(str(Path(beside) / f"{frame:06d}.png"))
            page.screenshot(path=files[-1])
            shown.update(frame + 1)
        clip = ImageSequenceClip(files, fps=FRAMES_PER_S)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # moviepy knows the format by the ending, so the part that becomes the file must have it too.
            with whole_file(path) as part:
                made = Path(beside) / f"film{path.suffix}"
                if path.suffix == ".gif":
                    clip.write_gif(str(made), logger=None)
                else:
                    clip.write_videofile(str(made), codec=_CODECS[path.suffix], audio=False, logger=None)
                shutil.copyfile(made, part)
        except OSError as error:
            raise MaestroError(f"--video {path}: cannot be written ({error}); name a writable path.") from error
    return path


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Any]:
    """Open a page in a Chromium without a window: that of the machine, or else playwright's own.

    Args:
        width: Of the page [px].
        height: Of the page [px].

    Yields:
        A page of playwright.

    Raises:
        MaestroError: No browser begins.
    """
    from playwright.sync_api import Error, sync_playwright

    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    flags = ["--disable-gpu", "--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    # A proxy would be asked for a page of this machine.
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        with sync_playwright() as program:
            try:
                browser = program.chromium.launch(executable_path=found, args=flags)
            except Error as error:
                raise MaestroError(
                    f"no Chromium begins here ({str(error).splitlines()[0]}): install one (apt-get install chromium, "
                    "or playwright install chromium)."
                ) from error
            yield browser.new_page(viewport={"width": width, "height": height})
            browser.close()
    finally:
        os.environ.update(proxies)
