"""The pictures of the report, of the page of `watch` and of the site in the docs, each at three widths.

``python docs/make_screenshots.py RUN NAME...`` writes pictures such as ``report-phone`` into ``docs/images``, each of
200 kB at most, from the folder of a comparison and from the site that ``make docs`` has built; without names all are
written, into ``--into FOLDER``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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


def site_pictures(site: Path, folder: Path) -> Iterator[Path]:
    """The first page of the built site at every width."""
    with served(site) as address:
        for name, size in WIDTHS.items():
            with browser_page(*size) as page:
                page.goto(address)
                yield _taken(page, folder / f"site-{name}.png")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of what is asked for."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on this machine; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


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
    """Make the pictures of a run and of the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of a comparison")
    parser.add_argument("names", nargs="*", help="the pictures to keep, such as report-phone")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "images", help="default: docs/images")
    parser.add_argument("--site", type=Path, default=Path("build/site"), help="the built site; default: build/site")
    asked = parser.parse_intermixed_args()
    if not asked.names and asked.into == parser.get_default("into"):
        parser.error("name the pictures of docs/images to replace, or a folder by --into")
    asked.into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as beside:
        for made, source in ((report_pictures, asked.run), (watch_pictures, asked.run), (site_pictures, asked.site)):
            for path in made(source, Path(beside)):
                if not asked.names or path.stem in asked.names:
                    copy = shutil.copy(path, asked.into / path.name)
                    sys.stdout.write(f"{copy}, {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
