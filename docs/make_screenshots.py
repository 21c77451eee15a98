"""The pictures of the report and of the page of `watch` in the docs, from the folder of a comparison.

``python docs/make_screenshots.py RUN NAME...`` writes pictures such as ``report-phone`` into ``docs/images``, each of
200 kB at most; without names all are written, into ``--into FOLDER``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from maestro_gym.evaluation.finished_run import read_run
from maestro_gym.evaluation.report.page.write_page import write_report
from maestro_gym.evaluation.watch.document import watch_document
from maestro_gym.evaluation.watch.episodes import kept
from maestro_gym.evaluation.watch.film import browser_page
from maestro_gym.evaluation.watch.server import serve

WIDTHS = {"phone": (390, 844), "tablet": (1000, 900), "desk": (1400, 1000)}
MOST_BYTES = 200_000
_READY_MS = 60_000


def report_pictures(run: Path, folder: Path) -> Iterator[Path]:
    """The top of the report at every width, and an episode under two policies on a desk."""
    with TemporaryDirectory() as beside:
        page_file = write_report(read_run(run).comparison, Path(beside) / "report.html")
        for name, size in WIDTHS.items():
            with _opened(page_file.as_uri(), *size) as page:
                yield _taken(page, folder / f"report-{name}.png")
                if name == "desk":
                    page.locator(".sides").scroll_into_view_if_needed()  # figures are drawn when they come into sight
                    page.locator(".wipe .main-svg").first.wait_for(timeout=_READY_MS)
                    page.evaluate("document.querySelector('#episode-words').scrollIntoView()")
                    page.wait_for_timeout(1000)
                    yield _taken(page, folder / "report-timeline.png")


def watch_pictures(run: Path, folder: Path) -> Iterator[Path]:
    """The page of `watch` at every width, a third into the arrivals."""
    traces = kept(run)
    told = watch_document(traces)
    with serve(lambda: told) as address:
        for name, size in WIDTHS.items():
            with _opened(address, *size) as page:
                page.evaluate("at => watch.show(at)", traces[0].horizon_s * 0.6)
                yield _taken(page, folder / ("watch.png" if name == "desk" else f"watch-{name}.png"))


@contextmanager
def _opened(address: str, width: int, height: int) -> Iterator[Any]:
    with browser_page(width, height) as page:
        page.goto(address)
        page.wait_for_selector("body[data-ready]", timeout=_READY_MS)
        yield page


def _taken(page: Any, path: Path) -> Path:  # noqa: ANN401 - playwright's
    page.screenshot(path=path)
    for colours in (256, 128, 64):
        if path.stat().st_size <= MOST_BYTES:
            break
        Image.open(path).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main() -> None:
    """Make the pictures of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "images")
    asked = parser.parse_args()
    if not asked.names and asked.into == parser.get_default("into"):
        parser.error("name the pictures of docs/images to replace, or a folder by --into")
    asked.into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as beside:
        for made in (report_pictures, watch_pictures):
            for path in made(asked.run, Path(beside)):
                if not asked.names or path.stem in asked.names:
                    copy = shutil.copy(path, asked.into / path.name)
                    sys.stdout.write(f"{copy}, {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
