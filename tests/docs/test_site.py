"""The site of the docs: every page has its place, and no link of what is built leads nowhere."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.make_screenshots import WIDTHS, served
from docs.make_site import api_modules, nav_pages, settings
from docs.notebook_pages import NOTEBOOKS
from docs.site_links import broken_links
from maestro_gym.config.page import configuration_markdown
from maestro_gym.evaluation.watch.film import browser_page
from tests.test_public_names import documented_packages

ROOT = Path(__file__).resolve().parents[2]
NAV = settings()["nav"]
LOOKED_AT = ("", "docs/watch/", "docs/searched/", "docs/command_line/", "docs/environments/", "docs/api/evaluation/")
"""Pages with pictures, wide tables, long lines of code and signatures."""


def test_every_page_of_the_docs_has_one_place_in_the_navigation() -> None:
    pages = [page for page in nav_pages(NAV) if not page.startswith(("docs/api/", NOTEBOOKS))]
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(pages) == sorted(there | {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"})


def test_every_notebook_has_a_page() -> None:
    pages = [page for page in nav_pages(NAV) if page.startswith(NOTEBOOKS)]
    there = [path.relative_to(ROOT).with_suffix(".md").as_posix() for path in (ROOT / NOTEBOOKS).glob("*.ipynb")]
    assert sorted(pages) == sorted(there)


def test_every_public_package_has_a_page_of_the_api() -> None:
    pages = api_modules(NAV)
    registering = {"maestro_gym", "maestro_gym.v1"}  # importing them is all that they are for
    for package in documented_packages() - registering:
        assert any(page == package or page.startswith(f"{package}.") for page in pages), package


def test_the_configuration_page_is_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page.endswith(configuration_markdown().rstrip() + "\n"), "run: python docs/make_reference.py configuration"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h1 id="here">Other</h1><a href="#gone">x</a>')
    links = ("other/", "other/#here", "other/#there", "missing/", "picture.png", "https://example.org/", "#")
    (tmp_path / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    found = {line.partition(": ")[2] for line in broken_links(tmp_path)}
    assert found == {"other/#there", "missing/", "picture.png", "#gone"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built; a link or an anchor that leads nowhere ends the building with 1."""
    out = tmp_path_factory.mktemp("docs")
    command = [sys.executable, str(ROOT / "docs" / "make_site.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "site"


def test_the_site_builds_and_no_link_or_anchor_leads_nowhere(site: Path) -> None:
    assert (site / "index.html").is_file()
    page = (site / "docs" / "api" / "evaluation" / "index.html").read_text(encoding="utf-8")
    assert "run_compare" in page


@pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed (pip install playwright)")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine (apt-get install chromium)")
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_of_the_site_have_no_error_and_no_text_beside_the_page(site: Path, width: str) -> None:
    troubles: list[str] = []
    with served(site) as address, browser_page(*WIDTHS[width]) as page:
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("response", lambda answer: troubles.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda asked: None if asked.url.startswith(address) else troubles.append(asked.url))
        for place in LOOKED_AT:
            page.goto(address + place, wait_until="networkidle")  # so that no request is broken off by the next page
            assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0], place
            # What is wider than the page must be in something that scrolls.
            beside = page.evaluate(
                """width => {
                const scrolls = place => place && place !== document.body &&
                    (["auto", "scroll"].includes(getComputedStyle(place).overflowX) || scrolls(place.parentElement));
                return Array.from(document.querySelectorAll("article :is(h1, h2, h3, p, li, td, th, code, img)"))
                    .filter(place => place.getBoundingClientRect().right > width && !scrolls(place))
                    .map(place => place.innerText || place.src);
            }""",
                WIDTHS[width][0],
            )
            assert beside == [], (place, beside)
    assert troubles == []
